"""What a sweep may say, how it is refused, and the order of its runs."""

import json

import pytest

from engine.errors import HeadlightError
from engine.executor.units import DrawUnit, SearchUnit, unit_id
from engine.settings import Method, Mode, Score
from engine.sweep.cells import cells_of, model_units
from engine.sweep.spec import FIXED, METHOD_SETTINGS, SweepSpec, read_spec, spec_json, spec_of
from engine.tasks.prompts import Metric
from engine.trust.draws import Kind

WHOLE = """
name: all there is to say
models: [toy-induction, ./a folder]
tasks: [induction-random, ioi]
methods:
  app: {sparsity: auto}
  usual:
  walk: {sparsity: 0.7, score: walk, metric: logit_diff, min_effect: 0, prepend_bos: true, memory_budget: 500000000}
  dense: {method: dense, mode: exact}
seeds: [3, 0]
pairs: 8
resamples: 2
threads: 4
device: cuda
dtype: float32
"""
LEAST = "models: [gpt2]\ntasks: [ioi]\nmethods: {app: {}}\n"


def test_everything_that_can_be_said_is_read():
    spec = read_spec(WHOLE)
    assert spec.models == ("toy-induction", "./a folder") and spec.tasks == ("induction-random", "ioi")
    assert (spec.name, spec.seeds, spec.pairs, spec.resamples, spec.threads) == ("all there is to say", (3, 0), 8, 2, 4)
    app, usual, walk, dense = (spec.settings("m", "ioi", method, 7) for method in spec.methods)
    assert app == usual and app.sparsity is None and (app.device, app.dtype, app.pairs) == ("cuda", "float32", 8)
    assert (walk.sparsity, walk.score, walk.metric, walk.min_effect) == (0.7, Score.WALK, Metric.LOGIT_DIFF, 0.0)
    assert walk.prepend_bos and walk.memory_budget == 5e8 and (walk.model, walk.task, walk.seed) == ("m", "ioi", 7)
    assert (dense.method, dense.mode) == (Method.DENSE, Mode.EXACT)
    assert spec.size == 2 * 2 * 4 * 2 * 3


def test_what_is_left_out_has_the_usual_value():
    assert read_spec(LEAST) == SweepSpec(("gpt2",), ("ioi",), read_spec(LEAST).methods)
    assert read_spec(LEAST).seeds == (0,) and read_spec(LEAST).threads == 1


def test_a_method_may_set_all_that_is_not_the_sweeps():
    assert set(METHOD_SETTINGS).isdisjoint(FIXED) and {"score", "algorithm", "grid", "mlps"} < set(METHOD_SETTINGS)


@pytest.mark.parametrize("text", [WHOLE, LEAST])
def test_a_spec_is_the_same_after_json(text):
    spec = read_spec(text)
    assert spec_of(json.loads(json.dumps(spec_json(spec)))) == spec


def test_a_sweep_is_known_by_what_it_goes_over_not_by_its_name():
    assert read_spec(WHOLE).id == read_spec(WHOLE.replace("all there is to say", "x")).id
    assert read_spec(LEAST).id == read_spec(LEAST + "seeds: [0]").id != read_spec(LEAST + "seeds: [1]").id
    assert len(read_spec(LEAST).id) == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expected keys with values for the file, got “None”"),
        ("just words", "Expected keys with values for the file, got “just words”"),
        ("models: [gpt2", "not plain YAML: .* at line 1, column 14"),
        ("models: [gpt2]\ntasks: [ioi]", "lacks methods"),
        ("name: x", "lacks models, tasks and methods"),
        (LEAST + "seed: [1]", "no key “seed” in the file. Did you mean seeds"),
        (LEAST + "colour: red", "no key “colour” in the file. Expected some of name, models"),
        (LEAST + "1: red", "no key “1”"),
        (LEAST + "pairs: 0", "a whole number from 1 to 2,000 for pairs, got “0”"),
        (LEAST + "pairs: 2001", "got “2001”"),
        (LEAST + "pairs: true", "whole number.*got “True”"),
        (LEAST + "pairs: 8.5", "whole number.*got “8.5”"),
        (LEAST + "seeds: 3", "a list of 1 to 200 for seeds, got “3”"),
        (LEAST + "seeds: []", "a list of 1 to 200 for seeds, got “0 of them”"),
        (LEAST + "seeds: [0, -1]", r"for seeds\[2\], got “-1”"),
        (LEAST + "seeds: [1, 1]", "seeds lists “1” twice"),
        (LEAST + "resamples: 201", "from 0 to 200 for resamples"),
        (LEAST + "threads: 0", "from 1 to 256 for threads"),
        (LEAST + "device: [cpu]", "a name .* for device"),
        (LEAST + "pairs: 8\npairs: 9", "'pairs' is there twice at line 5"),
        (LEAST + "device: &x cpu\ndtype: *x", "anchors are not used here at line 5"),
        (LEAST + "device: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        (LEAST.replace("[gpt2]", "[no]"), r"in quotes.*for models\[1\], got “False”"),
        (LEAST.replace("[gpt2]", "['']"), r"for models\[1\], got “”"),
        (LEAST.replace("[gpt2]", '["a\\nb"]'), r"for models\[1\]"),
        (LEAST.replace("[ioi]", "[iol]"), "no task 'iol'. Did you mean ioi"),
        (LEAST.replace("[ioi]", "[custom]"), "no task 'custom'"),
        (LEAST.replace("{app: {}}", "[]"), "methods by name"),
        (LEAST.replace("{app: {}}", "{}"), "methods by name"),
        (LEAST.replace("{app: {}}", "{app: 3}"), "keys with values for methods.app, got “3”"),
        (LEAST.replace("{app: {}}", "{app: {sparsty: 0.5}}"), "no key “sparsty” in methods.app. Did you mean sparsity"),
        (LEAST.replace("{app: {}}", "{app: {seed: 1}}"), "no key “seed” in methods.app"),
        (LEAST.replace("{app: {}}", "{app: {score: walks}}"), "methods.app.score, got “walks”. Did you mean walk"),
        (LEAST.replace("{app: {}}", "{app: {method: fast}}"), "one of app, dense for methods.app.method"),
        (LEAST.replace("{app: {}}", "{app: {sparsity: true}}"), "a number for methods.app.sparsity, got “True”"),
        (LEAST.replace("{app: {}}", "{app: {sparsity: .nan}}"), "a number for methods.app.sparsity, got “nan”"),
        (LEAST.replace("{app: {}}", "{app: {sparsity: 1.5}}"), "methods.app: .*1.5"),
        (LEAST.replace("{app: {}}", "{app: {memory_budget: .inf}}"), "a number for methods.app.memory_budget"),
        (LEAST.replace("{app: {}}", "{app: {min_effect: null}}"), "a number for methods.app.min_effect, got “None”"),
        (LEAST.replace("{app: {}}", "{app: {grid: 1}}"), "true or false for methods.app.grid"),
        (LEAST.replace("{app: {}}", "{app: {top_edges: 1.0}}"), "whole number.*methods.app.top_edges"),
        (LEAST.replace("{app: {}}", "{app: {grid: true, algorithm: acdc}}"), "methods.app: Expected no grid with acdc"),
        (LEAST + "seeds: [" + ", ".join(map(str, range(200))) + "]\nresamples: 10", "at most 2,000 runs, got 2,200"),
        ("#" * 100_001, "at most 100,000 characters"),
        ("[" * 50_000, "not plain YAML"),
    ],
)
def test_what_cannot_be_a_sweep_is_refused_with_its_place(text, said):
    with pytest.raises(HeadlightError, match=said):
        read_spec(text)


def test_the_order_is_models_tasks_methods_seeds_resamples():
    cells = cells_of(read_spec(WHOLE))
    assert len(cells) == 96
    places = [(cell.model, cell.task, cell.method, cell.seed, cell.resample) for cell in cells]
    assert places[:4] == [
        ("toy-induction", "induction-random", "app", 3, None), ("toy-induction", "induction-random", "app", 3, 1),
        ("toy-induction", "induction-random", "app", 3, 2), ("toy-induction", "induction-random", "app", 0, None),
    ]  # fmt: skip
    assert places[6][2] == "usual" and places[24][1] == "ioi" and places[48][0] == "./a folder"
    assert len(set(places)) == 96 and {cell.unit.threads for cell in cells} == {4}


def test_a_resample_is_the_one_that_stability_draws():
    run, first, second = cells_of(read_spec(WHOLE))[:3]
    assert isinstance(run.unit, SearchUnit) and isinstance(first.unit, DrawUnit)
    drawn = [(cell.unit.draw, cell.unit.label, cell.unit.seed) for cell in (first, second)]
    assert drawn == [(Kind.RESAMPLE, "resample 1", 3), (Kind.RESAMPLE, "resample 2", 4)]


def test_another_model_of_the_same_name_makes_another_unit():
    cell = cells_of(read_spec(LEAST))[0]
    assert unit_id(cell.on("a" * 16).unit) != unit_id(cell.on("b" * 16).unit)
    assert [(unit.settings.model, unit.settings.device) for unit in model_units(read_spec(WHOLE))] == [
        ("toy-induction", "cuda"), ("./a folder", "cuda"),
    ]  # fmt: skip
