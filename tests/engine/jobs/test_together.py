"""Jobs submitted together run side by side and take turns."""

from __future__ import annotations

from engine.jobs.manager import JobManager
from engine.jobs.snapshot import JobState
from tests.engine.jobs.test_manager import PATIENCE, Gate


def test_jobs_submitted_together_run_side_by_side_before_the_next(manager: JobManager) -> None:
    gates = {key: Gate(key) for key in "abc"}
    first, second = manager.submit_together([("a", gates["a"]), ("b", gates["b"])])
    after = manager.submit("c", gates["c"])
    assert gates["a"].entered.wait(PATIENCE) and gates["b"].entered.wait(PATIENCE)
    assert manager.running() == (first, second) and after.snapshot().place == 2
    gates["b"].opened.set()
    assert second.wait(PATIENCE) and second.snapshot().result == "b"
    assert manager.running() == (first,) and after.snapshot().place == 1 and not gates["c"].entered.is_set()
    gates["a"].opened.set()
    assert gates["c"].entered.wait(PATIENCE) and first.snapshot().result == "a"
    gates["c"].opened.set()


def test_of_those_submitted_together_only_what_is_new_runs(manager: JobManager) -> None:
    done = manager.submit("a", lambda watcher: "before")
    assert done.wait(PATIENCE)
    gate, blocker = Gate(), Gate()
    running = manager.submit("blocker", blocker)
    assert manager.submit_together([("a", gate), ("b", lambda watcher: "b"), ("b", gate)])[0] is done
    waiting = manager.submit_together([("b", gate), ("c", gate), ("d", lambda watcher: "d")])
    assert [job.snapshot().place for job in waiting] == [1, 2, 2]
    waiting[1].cancel()  # its companion goes on alone
    blocker.opened.set()
    assert running.wait(PATIENCE) and waiting[2].wait(PATIENCE)
    assert [job.snapshot().state for job in waiting] == [JobState.DONE, JobState.CANCELLED, JobState.DONE]
    assert not gate.entered.is_set() and done.snapshot().result == "before"


def test_close_stops_those_that_take_turns(manager: JobManager) -> None:
    gates = [Gate(), Gate()]
    jobs = manager.submit_together(list(enumerate(gates)))
    assert all(gate.entered.wait(PATIENCE) for gate in gates)
    manager.close(PATIENCE)
    assert not manager.running() and not manager.healthy
    assert [job.snapshot().state for job in jobs] == [JobState.CANCELLED] * 2
