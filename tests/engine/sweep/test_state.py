"""What can be read of a sweep at any moment, whatever has become of its files."""

import json
from dataclasses import replace

import pytest
from filelock import FileLock

from engine.errors import HeadlightError
from engine.progress import Watcher
from engine.sweep.state import UnitState, list_sweeps, read_sweep
from tests.engine.sweep.counting import SMALL, Counting, run


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": "headlight-sweep/9"}', "\x00"])
def test_a_damaged_state_is_said_to_be_and_made_again(toy_model, content):
    state = run(SMALL, Counting(toy_model))
    (state.folder / "sweep.json").write_text(content)
    with pytest.raises(HeadlightError, match=r"sweep\.json is damaged.*what it has finished is kept"):
        read_sweep(SMALL.id)
    assert list_sweeps() == []
    again = Counting(toy_model)
    assert run(SMALL, again).units == state.units and again.searches == []


@pytest.mark.parametrize(
    "change",
    [
        {"units": []}, {"began": float("nan")}, {"began": "now"}, {"session_done": -1}, {"spec": {}},
        {"units": [{}, {}, {}]},
    ],
)  # fmt: skip
def test_a_state_that_says_the_impossible_is_refused(toy_model, change):
    state = run(SMALL, Counting(toy_model))
    path = state.folder / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(HeadlightError, match="is damaged"):
        read_sweep(SMALL.id)


@pytest.mark.parametrize("sweep", ["", "../../etc", "0" * 11, "0" * 13, "000000000000\n", "ABCDEF000000"])
def test_only_ids_of_sweeps_are_looked_for(sweep):
    with pytest.raises(HeadlightError, match="Expected the id of a sweep"):
        read_sweep(sweep)


def test_a_sweep_that_is_not_there_is_said_to_be_missing():
    assert list_sweeps() == []
    with pytest.raises(HeadlightError, match="There is no sweep to read"):
        read_sweep("0" * 12)


class Looking(Watcher):
    """Reads the sweep whenever it is told something."""

    def __init__(self, sweep):
        self.sweep, self.seen = sweep, []

    def report(self, stage, done, total):
        self.seen.append(read_sweep(self.sweep))


def test_while_it_runs_it_can_be_read_and_says_how_long_it_will_take(toy_model):
    watcher = Looking(SMALL.id)
    run(SMALL, Counting(toy_model), watcher=watcher)
    done = [state.count(UnitState.DONE) for state in watcher.seen]
    assert done == sorted(done) and set(done) == {0, 1, 2, 3} and all(state.running for state in watcher.seen)
    one = next(state for state in watcher.seen if state.session_done == 1)
    assert one.seconds_left == pytest.approx(2 * (one.updated - one.session_began)) and one.seconds_left > 0
    assert watcher.seen[0].seconds_left is None and not read_sweep(SMALL.id).running


def test_a_clock_that_was_set_back_leaves_no_negative_time(toy_model):
    state = run(SMALL, Counting(toy_model, most=1))
    assert replace(state, running=True, updated=state.session_began - 3600).seconds_left == 0


def test_two_processes_do_not_run_one_sweep(toy_model, monkeypatch):
    monkeypatch.setattr("engine.sweep.place.PATIENCE", 0.1)
    state = run(SMALL, Counting(toy_model))
    with FileLock(state.folder / "lock"), pytest.raises(HeadlightError, match="being run by another process"):
        run(SMALL, Counting(toy_model))
