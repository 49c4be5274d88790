"""Sweeps on the toy model: what they keep, and how they go on."""

import csv
import json
from dataclasses import replace

import pytest

from engine.errors import HeadlightError
from engine.executor.perform import Bench
from engine.executor.units import DrawUnit, ModelUnit, SearchUnit, unit_id
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Settings
from engine.store.store import RunStore
from engine.sweep.place import COLUMNS, SweepPlace, table
from engine.sweep.run import planned
from engine.sweep.spec import read_spec
from engine.sweep.state import list_sweeps, read_folder, read_sweep, sweeps_folder
from engine.trust.stability import stability
from tests.engine.executor.records import timeless
from tests.engine.sweep.counting import SMALL, SPEC, Counting, run, states


@pytest.fixture
def perform(toy_model):
    return Counting(toy_model)


def test_a_sweep_keeps_every_run_where_runs_are_kept(perform, toy_model):
    state = run(SPEC, perform)
    assert state.complete and state.progress == 1 and len(state.units) == len(perform.searches) == 8
    store = RunStore()
    runs = {unit.run: unit for unit in state.units if unit.resample is None}
    assert {each.id for each in store.all()} == set(runs) and len(runs) == 4
    assert {each.tags for each in store.all()} == {(f"sweep:{SPEC.id}",)}
    for run_id, unit in runs.items():
        record = store.read(run_id)
        assert record["complete"] and record["settings"]["seed"] == unit.seed
        assert record["settings"]["method"] == ("dense" if unit.method == "dense" else "app")
        assert unit.numbers["heads"] == len(record["circuit"]["heads"]) == 2
        assert unit.numbers["performance"] == record["verification"]["performance"]
        assert unit.numbers["faithfulness"] == record["verification"]["faithfulness"]
        assert unit.numbers["flops"] == sum(row["flops"] for row in record["cost"].values())


def test_a_resample_is_that_of_stability(perform, toy_model):
    from engine.trust.draws import Plan

    [_, draw] = [unit for unit in run(SPEC, perform).units if (unit.method, unit.seed) == ("half", 1)]
    settings = Settings(model="toy-induction", task="induction-random", pairs=8, seed=1, sparsity=0.5)
    prepared = prepare(toy_model, settings, Watcher())
    [refind] = stability(prepared, settings, Plan(1, 0, templates=False), Watcher()).refinds
    kept = json.loads((sweeps_folder() / SPEC.id / "units" / f"{draw.unit}.json").read_text())
    assert draw.resample == 1 and draw.run is None and draw.numbers["faithfulness"] == refind.faithfulness
    assert kept["result"]["circuit"]["heads"] == [str(head) for head in refind.circuit.heads]
    assert [edge["effect"] for edge in kept["result"]["circuit"]["edges"]] == [e.effect for e in refind.circuit.edges]


def test_what_is_read_back_is_what_the_sweep_came_to(perform):
    state = run(SPEC, perform)
    assert read_sweep(SPEC.id) == replace(state, running=False) == list_sweeps()[0]
    with (state.folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["half"] * 4 + ["dense"] * 4 and tuple(rows[0]) == COLUMNS
    assert rows[0]["heads"] == "2" and float(rows[0]["performance"]) == state.units[0].numbers["performance"]
    assert rows[0]["run"] == state.units[0].run and (rows[1]["resample"], rows[1]["performance"]) == ("1", "")


def test_the_same_sweep_does_nothing_again(perform, toy_model):
    first = run(SPEC, perform)
    again = Counting(toy_model)
    second = run(SPEC, again)
    assert again.searches == [] and second.units == first.units and second.began == first.began
    assert len(RunStore().all()) == 4


def test_stopped_it_goes_on_with_what_is_left(toy_model):
    first, second = Counting(toy_model, most=3), Counting(toy_model)
    state = run(SPEC, first)
    assert states(state) == ["done"] * 3 + ["waiting"] * 5 and not state.complete and state.progress == 3 / 8
    assert read_sweep(SPEC.id) == replace(state, running=False)
    whole = run(SPEC, second)
    assert whole.complete and len(second.searches) == 5 and whole.units[:3] == state.units[:3]
    assert set(map(unit_id, first.searches)).isdisjoint(map(unit_id, second.searches))


def test_a_sweep_in_parts_is_the_sweep_in_one(toy_model, tmp_path):
    run(SMALL, Counting(toy_model, most=1), tmp_path / "parts")
    parts, one = run(SMALL, Counting(toy_model), tmp_path / "parts"), run(SMALL, Counting(toy_model), tmp_path / "one")
    for in_parts, in_one in zip(parts.units, one.units, strict=True):
        records = [RunStore(state.folder).read(unit.run) for state, unit in ((parts, in_parts), (one, in_one))]
        assert timeless(records[0]) == timeless(records[1])


def test_failed_units_leave_the_others_and_are_tried_again(toy_model):
    bad = Counting(toy_model, bad=lambda unit: unit.settings.seed == 1 and not isinstance(unit, ModelUnit))
    state = run(SMALL, bad)
    assert states(state) == ["done", "failed", "done"] and state.units[1].error == "bad on purpose"
    assert state.units[1].numbers == {} and not state.complete
    assert "bad on purpose" in (state.folder / "results.csv").read_text()
    good = Counting(toy_model)
    assert states(run(SMALL, good)) == ["done"] * 3 and [unit.settings.seed for unit in good.searches] == [1]
    assert read_sweep(SMALL.id).units[1].error == ""


def test_a_resample_that_cannot_be_done_has_failed(toy_model, monkeypatch):
    import engine.trust.refind as module

    monkeypatch.setattr(module, "find_again", lambda *given: (_ for _ in ()).throw(HeadlightError("no unit")))
    state = run(SPEC, Counting(toy_model))
    assert states(state) == ["done", "failed"] * 4 and state.units[1].error == "no unit"


def test_a_model_that_cannot_be_loaded_fails_its_own_units(toy_model):
    spec = read_spec(
        "{models: [toy-induction, ./nowhere], tasks: [induction-random], pairs: 8, methods: {half: {sparsity: 0.5}}}"
    )

    def load(name, device, dtype):
        if name != "toy-induction":
            raise HeadlightError("There is no folder nowhere.")
        return toy_model

    state = run(spec, Bench(load).perform)
    assert states(state) == ["done", "failed"] and "no folder nowhere" in state.units[1].error


def test_another_model_of_the_same_name_is_done_anew(toy_model, tiny_model):
    class Renamed(Counting):
        """Says it has other weights."""

        def __call__(self, unit, watcher):
            if isinstance(unit, ModelUnit):
                chunk = super().__call__(unit, watcher)
                return replace(chunk, values=chunk.values | {"fingerprint": "f" * 16})
            return super().__call__(replace(unit, fingerprint=None), watcher)

    first = run(SMALL, Counting(toy_model))
    other = Renamed(toy_model)
    second = run(SMALL, other)
    assert len(other.searches) == 3 and second.complete
    assert {unit.unit for unit in first.units}.isdisjoint(unit.unit for unit in second.units)


def test_two_methods_that_ask_for_the_same_are_run_once(toy_model):
    spec = read_spec(
        "{models: [toy-induction], tasks: [induction-random], pairs: 8,"
        " methods: {a: {sparsity: 0.5}, b: {sparsity: 0.5}}}"
    )
    perform = Counting(toy_model)
    state = run(spec, perform)
    assert len(perform.searches) == 1 and state.units[0].run == state.units[1].run and state.complete


def test_killed_between_a_record_and_its_file_the_record_is_found(toy_model):
    state = run(SMALL, Counting(toy_model))
    for unit in state.units[1:]:
        (state.folder / "units" / f"{unit.unit}.json").unlink()
    (state.folder / "sweep.json").unlink()
    again = Counting(toy_model)
    assert run(SMALL, again).units == state.units and again.searches == [] and len(RunStore().all()) == 3


def test_a_run_of_somebody_else_is_not_taken_for_the_sweeps(toy_model):
    """The same settings on the same model, but perhaps with other threads: done anew."""
    state = run(SMALL, Counting(toy_model))
    RunStore().tag(state.units[1].run, ["mine"])
    (state.folder / "units" / f"{state.units[1].unit}.json").unlink()
    again = Counting(toy_model)
    assert run(SMALL, again).units[1].run != state.units[1].run and len(again.searches) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": "headlight-sweep-unit/1", "unit": {}}', "null"])
def test_a_damaged_file_of_a_resample_is_made_again(toy_model, content):
    state = run(SPEC, Counting(toy_model))
    path = state.folder / "units" / f"{state.units[1].unit}.json"
    path.write_text(content)
    again = Counting(toy_model)
    assert run(SPEC, again).complete and len(again.searches) == 1 and isinstance(again.searches[0], DrawUnit)
    assert json.loads(path.read_text())["schema"] == "headlight-sweep-unit/1"


def test_a_folder_of_another_sweep_is_left_alone(toy_model, tmp_path):
    first = run(SMALL, Counting(toy_model), tmp_path)
    with pytest.raises(HeadlightError, match=f"holds another sweep, {SMALL.id}"):
        run(SPEC, Counting(toy_model), tmp_path)
    assert read_folder(tmp_path).units == first.units


def test_a_folder_that_cannot_be_written_is_told(toy_model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HeadlightError, match=r"folder .* cannot be used: .*--out"):
        run(SMALL, Counting(toy_model), tmp_path / "file" / "below")


def test_what_there_is_to_do_is_said_without_doing_it(toy_model, tmp_path):
    state = planned(SPEC, SweepPlace(SPEC.id, tmp_path / "new"))
    assert states(state) == ["waiting"] * 8 and not (tmp_path / "new").exists()
    done = run(SPEC, Counting(toy_model, most=2), tmp_path / "new")
    assert planned(SPEC, SweepPlace(SPEC.id, tmp_path / "new")).units == done.units


def test_a_name_that_looks_like_a_formula_is_none_in_the_table(toy_model):
    state = run(SMALL, Counting(toy_model))
    rows = table([replace(state.units[0], method="=HYPERLINK(1)", model="-x"), state.units[1]]).splitlines()
    assert rows[1].startswith("'-x,induction-random,'=HYPERLINK(1),0") and rows[2].startswith("toy-induction,")


def test_a_search_unit_has_the_threads_of_the_sweep(perform):
    run(replace(SMALL, threads=2), perform)
    assert {unit.threads for unit in perform.done} == {2} and isinstance(perform.searches[0], SearchUnit)
