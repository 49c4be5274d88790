"""A run read back from its record: the same objects, the same text again, and nothing but a run is taken."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from torch import Tensor

from engine.circuit import Input
from engine.errors import HeadlightError
from engine.heads import Head
from engine.models.loading import load_model
from engine.models.model import Model
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record.json_values import dumps
from engine.record.reading import discovery_of, origin_of
from engine.record.writing import Origin, discovery_json
from engine.scores.kinds import Score
from engine.scoring.attribution import with_score
from engine.search.algorithms import Algorithm
from engine.search.path_patching import STAGE, Thresholds
from engine.settings import Method, Mode, Settings
from engine.tasks.prompts import Metric
from engine.tuning.tune import tune
from tests.engine.random_prompts import random_prompts
from tests.engine.test_pipeline import CancelIn

TOY = Settings(model="toy-induction", task="induction-random", pairs=8)
RANDOM = Settings(model="tiny", task="random", method=Method.DENSE, threshold_scale=0.0, min_effect=1e-4)

ON_THE_TOY = {
    "auto": TOY,
    "dense": replace(TOY, method=Method.DENSE, mode=Mode.EXACT),
    "fixed": replace(TOY, sparsity=0.5, score=Score.POSITION_ATTRIBUTION, metric=Metric.LOGIT_DIFF),
    "two sparsities": replace(TOY, sparsity=0.5, flap_sparsity=0.25, score=Score.MERGED, prepend_bos=False),
    "union": replace(TOY, union="fixed+first", threshold_scale=1),  # a whole number stays one
    "grid": replace(TOY, sparsity=0.5, grid=True),
    "exact grid": replace(TOY, sparsity=0.5, grid=True, mode=Mode.EXACT),
    "mlps": replace(TOY, mlps=True, min_effect=0.001),
    "acdc": replace(TOY, algorithm=Algorithm.ACDC, sparsity=0.5, tolerance=0.02),
    "eap": replace(TOY, algorithm=Algorithm.EAP, sparsity=0.5, top_edges=5),
    "probabilities": replace(TOY, sparsity=0.8, metric=Metric.PROB_DIFF, memory_budget=1e8),
}
ON_TINY = {
    "dense": RANDOM,
    "auto": replace(RANDOM, method=Method.APP),
    "grid": replace(RANDOM, grid=True),
    "mlps": replace(RANDOM, mlps=True),
    "acdc": replace(RANDOM, algorithm=Algorithm.ACDC),
    "eap": replace(RANDOM, algorithm=Algorithm.EAP_IG),
}


@pytest.fixture(scope="module")
def saved(toy_model):
    return json.loads(dumps(discovery_json(toy_model, discover(toy_model, TOY, Watcher()))))


def check_same(read, made, where="run"):
    """Every field of every object is equal, and of the same kind."""
    assert type(read) is type(made), where
    if isinstance(made, Tensor):
        assert read.dtype == made.dtype, where
        torch.testing.assert_close(read, made, rtol=0, atol=0, equal_nan=True, msg=where)
    elif is_dataclass(made):
        for field in fields(made):
            check_same(getattr(read, field.name), getattr(made, field.name), f"{where}.{field.name}")
    elif isinstance(made, Mapping):
        assert list(read) == list(made), where
        for key in made:
            check_same(read[key], made[key], f"{where}.{key}")
    elif isinstance(made, tuple):
        assert len(read) == len(made), where
        for place, (one, other) in enumerate(zip(read, made, strict=True)):
            check_same(one, other, f"{where}.{place}")
    elif isinstance(made, float):
        assert read == made or (math.isnan(read) and math.isnan(made)), where
    else:
        assert read == made, where


def check_reads_back(model, found):
    text = dumps(discovery_json(model, found))
    record = json.loads(text)
    again = discovery_of(record)
    assert dumps(discovery_json(model, again)) == text
    assert origin_of(record) == Origin.of(model)
    assert dumps(discovery_json(origin_of(record), again)) == text
    check_same(again, found)
    return again


@pytest.mark.parametrize("name", ON_THE_TOY)
def test_runs_of_every_kind_read_back(toy_model, name):
    found = discover(toy_model, ON_THE_TOY[name], Watcher())
    assert found.complete and found.circuit.heads
    read = check_reads_back(toy_model, found)
    if read.pruning is not None:  # objects that are one in the run are one here too
        assert read.pruning.choice.merge in read.pruning.merges
        assert torch.equal(read.keep[:, : toy_model.n_heads], read.pruning.taken(found.settings.union).mask)


@pytest.mark.parametrize("name", ON_TINY)
def test_runs_of_a_model_with_grouped_heads_read_back(tiny_deep_models, monkeypatch, name):
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", -0.3)  # with so few heads 2 finds none
    model = tiny_deep_models("llama")
    prepared = prepare(model, ON_TINY[name], Watcher(), random_prompts())
    read = check_reads_back(model, discover(model, prepared.settings, Watcher(), prepared))
    assert read.prompts.task == "random" and len(read.circuit.heads) >= (2 if name == "auto" else 4)


def test_a_run_of_a_model_that_has_only_hooks_reads_back():
    toy = load_model("toy-induction")
    hooked = Model("toy-induction", toy.hf_model, toy.tokenizer, hooked=True)
    settings = replace(TOY, pairs=2, sparsity=0.8)
    read = check_reads_back(hooked, discover(hooked, settings, Watcher()))
    assert read.check is None and "residual stream" in read.self_tests.skipped


@pytest.mark.parametrize("stage", ["sparsity sweep", "self-tests", STAGE, "verification"])
@pytest.mark.parametrize("grid", [False, True])
def test_stopped_runs_read_back(toy_model, stage, grid):
    found = discover(toy_model, replace(TOY, grid=grid), CancelIn(stage))
    assert not found.complete or stage == "verification"
    check_reads_back(toy_model, found)


def test_a_tuned_run_reads_back(toy_model, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    prepared = with_score(prepare(toy_model, TOY, Watcher()), Score.ATTRIBUTION, Watcher())
    tuning = tune(prepared, TOY, 6)
    found = discover(toy_model, tuning.chosen.settings, Watcher(), prepared, tuning=tuning)
    read = check_reads_back(toy_model, found)
    assert read.tuning is not None and read.tuning.chosen is read.tuning.trials[tuning.chosen.number]
    stopped = replace(tuning, complete=False, wanted=9, kept=2)
    check_reads_back(toy_model, replace(found, tuning=stopped))


def test_numbers_worked_out_by_hand(saved):
    read = discovery_of(saved)
    assert read.thresholds == Thresholds(2.0, 0.01) and read.settings.metric is None
    assert read.prompts.metric is Metric.LOGIT_DIFF and read.settings.report_seed == 1
    saved["steps"][0]["thresholds"] = [0.25, None]
    saved["steps"][0]["estimated"] = ["1.2"]
    saved["steps"][0]["important"] = ["0.1", "1.2"]
    step = discovery_of(saved).steps[0]
    assert step.input is Input.LOGITS and step.important == (Head(0, 1), Head(1, 2))
    assert step.thresholds.tolist() == [0.25, math.inf] and step.estimated.nonzero().tolist() == [[1, 2]]


def test_records_from_before_parts_were_added_are_read(saved):
    old = copy.deepcopy(saved)
    for name in ("made_with", "fingerprint", "metric_asked", "self_tests", "predicted"):
        del old[name]
    del old["prompts"]["task"], old["baseline"]["clean_by_pair"], old["verification"]["bootstrap"]
    del old["verification"]["live_mlps"], old["settings"]["mlps"], old["settings"]["tolerance"]
    for step in old["steps"]:
        del step["spent"]
    read, now = discovery_of(old), discovery_of(saved)
    assert read.settings == replace(now.settings, metric=Metric.LOGIT_DIFF) and read.prompts == now.prompts
    assert read.self_tests is None and read.predicted == () and read.steps[0].spent is None
    assert read.baseline.clean_by_pair.isnan().all() and len(read.baseline.clean_by_pair) == 8
    assert read.verification is not None and read.verification.interval.draws == 1000
    assert read.circuit == now.circuit and read.verification.faithfulness == now.verification.faithfulness
    assert origin_of(old).fingerprint == "" and origin_of(old).made_with == {}


WRONG = [
    ("schema", "headlight/2", "schema headlight/1"),
    ("settings.mode", "quick", "one of exact, screened"),
    ("settings.pairs", "8", "a whole number"),
    ("settings.pairs", 0, "at least 1 prompt pair"),
    ("settings.seed", 2**80, "a whole number from"),
    ("settings.sparsity", 10**400, "a finite number"),
    ("settings.grid", 1, "true or false"),
    ("settings.new", 1, "not known"),
    ("metric_asked", "loss", "one of logit_diff"),
    ("prompts.clean", ["a"], "as many entries"),
    ("prompts.clean_tokens.0", [1], "as many tokens"),
    ("prompts.clean_tokens.0.0", -1, "from 0 to"),
    ("prompts.clean_tokens.0.0", 1.5, "whole numbers"),
    ("prompts.answer_tokens.0", 3, "list of lists"),
    ("prompts.corrupted.0", "x" * 100_001, "a text of up to 100,000 letters"),
    ("baseline.clean_by_pair", [1.0], "8 numbers"),
    ("baseline.clean_by_pair.0", True, "numbers"),
    ("baseline.metric", "x", "one of logit_diff"),
    ("baseline.n", 0, "from 1"),
    ("scores.flap", [[1.0]], "rows of"),
    ("scores.flap.0.0", 1e300, "single precision"),
    ("scores.flap.0.0", "1", "numbers"),
    ("keep.0.0", 1, "true and false"),
    ("keep", [[True]], "rows of"),
    ("sweep.flap.sizes.0", -1, "from 0"),
    ("sweep.flap.sizes", [1], "100 sizes"),
    ("sweep.flap.cliffs.first.sparsity", 1.5, "a sparsity from 0"),
    ("sweep.flap.cliffs.first.sparsity", 0.123, "a sparsity of the curve"),
    ("sweep.merges.0.size", 0, "the nine unions"),
    ("sweep.merges", [], "the nine unions"),
    ("sweep.merges.0.flap_cliff", "last", "the nine unions"),
    ("self_check.paths", None, "a whole number"),
    ("self_tests.tests.0.name", "a test", "tests among"),
    ("steps.0.input", "q", "nodes for every input"),
    ("steps.0.important", ["9.9"], "no head 9.9"),
    ("steps.0.important", ["m0"], "heads alone"),
    ("steps.0.important", ["1" * 5000 + ".0"], "a text of up to 9 letters"),
    ("steps.0.thresholds", [], "2 numbers"),
    ("steps.0.spent.flops", "much", "a number"),
    ("steps.0", [], "a list of objects"),
    ("screening.estimated", -1, "from 0"),
    ("circuit.heads", ["7.0"], "names head 7.0"),
    ("verification.ablation", "blur", "one of mean"),
    ("verification.faithfulness_interval", [0.1], "2 numbers"),
    ("cost.verification", 3, "an object"),
    ("complete", "yes", "true or false"),
    ("model_shape", [2, 8], "model_shape"),
]


def places(value, *way):
    """The way to every number, of a list only to the first."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield way
    for name, part in inside:
        yield from places(part, *way, name)


def test_wherever_null_takes_the_place_of_a_number_it_is_refused_or_null_again(saved):
    ways = list(places(saved))
    assert len(ways) > 100
    kept = 0
    for *way, last in ways:
        broken = copy.deepcopy(saved)
        at = broken
        for name in way:
            at = at[name]
        at[last] = None
        try:
            read, origin = discovery_of(broken), origin_of(broken)
        except HeadlightError:
            continue
        dumps(discovery_json(origin, read))  # strict: raises for a NaN
        kept += 1
    assert kept > 10


@pytest.mark.parametrize(("path", "value", "says"), WRONG, ids=[f"{at}={str(value)[:12]}" for at, value, _ in WRONG])
def test_what_does_not_fit_is_refused_by_name(saved, path, value, says):
    broken = copy.deepcopy(saved)
    *way, last = path.split(".")
    at = broken
    for name in way:
        at = at[int(name) if isinstance(at, list) else name]
    at[int(last) if isinstance(at, list) else last] = value
    with pytest.raises(HeadlightError) as refused:
        discovery_of(broken)
    assert says in str(refused.value) and "““" not in str(refused.value)


@pytest.mark.parametrize("record", [None, [], {}, {"schema": "headlight/1"}, "run"])
def test_what_is_no_record_is_refused(record):
    for read in (discovery_of, origin_of):
        with pytest.raises(HeadlightError):
            read(record)


def test_a_merge_is_chosen_exactly_once(saved):
    for flags in (False, True):
        broken = copy.deepcopy(saved)
        for merge in broken["sweep"]["merges"]:
            merge["chosen"] = flags
        with pytest.raises(HeadlightError, match="one union that is chosen"):
            discovery_of(broken)
