"""Background jobs: states, progress, cancel, failure, queue, and asking twice."""

from __future__ import annotations

import threading

import pytest

from engine.circuit import Circuit
from engine.cost.ledger import CostRow
from engine.errors import Cancelled, HeadlightError
from engine.heads import Head
from engine.jobs.manager import JobManager
from engine.jobs.snapshot import JobState, StageProgress
from engine.progress import Watcher

PATIENCE = 10.0  # seconds until a test that hangs is given up


class Gate:
    """Work that reports, then waits to be let through, checking for a cancel every few milliseconds."""

    def __init__(self, result: object = "result") -> None:
        self.entered, self.opened, self.result = threading.Event(), threading.Event(), result

    def __call__(self, watcher: Watcher) -> object:
        watcher.step("waiting", 1, 4)
        self.entered.set()
        while not self.opened.wait(0.005):
            watcher.step("waiting", 2, 4)
        return self.result


def test_a_job_runs_and_keeps_its_result(manager: JobManager) -> None:
    job = manager.submit("key", lambda watcher: 6 * 7)
    assert job.wait(PATIENCE)
    shot = job.snapshot()
    assert (shot.state, shot.result, shot.error, shot.log) == (JobState.DONE, 42, None, None)
    assert shot.place == 0 and shot.started is not None


def test_what_a_job_freed_is_given_back_once_it_is_over(manager: JobManager, monkeypatch) -> None:
    given_back, ended = [], threading.Event()

    def give_back() -> None:
        given_back.append(job.live)
        ended.set()

    monkeypatch.setattr("engine.jobs.manager.give_back_freed_memory", give_back)
    gate = Gate()
    job = manager.submit("key", gate)
    assert gate.entered.wait(PATIENCE) and not given_back
    gate.opened.set()
    assert ended.wait(PATIENCE) and given_back == [False]


def test_progress_is_seen_while_it_runs(manager: JobManager) -> None:
    gate = Gate()
    job = manager.submit("key", gate)
    assert gate.entered.wait(PATIENCE)
    shot = job.snapshot()
    assert shot.state is JobState.RUNNING and shot.stage is not None
    assert (shot.stage.name, shot.stage.total) == ("waiting", 4)
    assert shot.stage.done in (1, 2)
    gate.opened.set()
    assert job.wait(PATIENCE)


def test_stages_stay_in_the_order_they_were_reported(manager: JobManager) -> None:
    def work(watcher: Watcher) -> None:
        for stage, done, total in (("first", 1, 2), ("first", 2, 2), ("second", 3, 4)):
            watcher.report(stage, done, total)

    job = manager.submit("key", work)
    assert job.wait(PATIENCE)
    assert [(s.name, s.done, s.total) for s in job.snapshot().stages] == [("first", 2, 2), ("second", 3, 4)]


def test_time_left_is_scaled_from_the_stage_so_far() -> None:
    assert StageProgress("s", done=2, total=8, seconds=10).seconds_left == pytest.approx(30)
    assert StageProgress("s", done=8, total=8, seconds=10).seconds_left == 0
    assert StageProgress("s", done=0, total=8, seconds=10).seconds_left is None
    assert StageProgress("s", done=1, total=0, seconds=10).fraction == 0
    assert StageProgress("s", done=9, total=8, seconds=10).fraction == 1


def test_how_much_of_the_whole_is_done_once_that_is_predicted(manager: JobManager) -> None:
    seen = []

    def work(watcher: Watcher) -> None:
        seen.append(manager.find("key").snapshot())
        watcher.report("first", 1, 4)
        seen.append(manager.find("key").snapshot())
        watcher.spend(30.0)
        watcher.predicted([CostRow("first", 8.0, 1.0, 40.0), CostRow("second", 12.0, 2.0, 80.0)])
        seen.append(manager.find("key").snapshot())
        watcher.spend(1000.0)
        seen.append(manager.find("key").snapshot())

    assert manager.submit("key", work).wait(PATIENCE)
    assert [shot.share for shot in seen] == [None, 0.25, 0.25, 1.0]
    assert seen[0].seconds_left is None
    assert [shot.seconds_left for shot in seen[2:]] == [15.0, 0.0]
    assert seen[3].flops == 1030.0 and len(seen[3].predicted) == 2


def test_cancel_while_running_keeps_the_circuit_found(manager: JobManager) -> None:
    partial = Circuit((Head(1, 2),), (), 2, 4)
    gate = Gate()

    def work(watcher: Watcher) -> object:
        watcher.found(partial)
        return gate(watcher)

    job = manager.submit("key", work)
    assert gate.entered.wait(PATIENCE)
    job.cancel()
    assert job.wait(PATIENCE)
    shot = job.snapshot()
    assert (shot.state, shot.circuit, shot.result) == (JobState.CANCELLED, partial, None)


def test_cancel_keeps_a_partial_result_the_work_returns(manager: JobManager) -> None:
    gate = Gate()

    def work(watcher: Watcher) -> object:
        try:
            return gate(watcher)
        except Cancelled:
            return "half"

    job = manager.submit("key", work)
    assert gate.entered.wait(PATIENCE)
    job.cancel()
    assert job.wait(PATIENCE)
    assert (job.snapshot().state, job.snapshot().result) == (JobState.CANCELLED, "half")


def test_a_cancel_that_comes_too_late_changes_nothing(manager: JobManager) -> None:
    finished = manager.submit("done", lambda watcher: 1)
    assert finished.wait(PATIENCE)
    finished.cancel()
    assert finished.snapshot().state is JobState.DONE
    assert manager.submit("done", lambda watcher: 2) is finished

    entered, leave = threading.Event(), threading.Event()

    def last_chunk(watcher: Watcher) -> str:  # never asks whether to stop
        entered.set()
        leave.wait(PATIENCE)
        return "whole"

    job = manager.submit("late", last_chunk)
    assert entered.wait(PATIENCE)
    job.cancel()
    assert job.snapshot().cancelling
    leave.set()
    assert job.wait(PATIENCE)
    assert (job.snapshot().state, job.snapshot().result) == (JobState.DONE, "whole")


def test_failures_tell_people_what_to_do_and_the_log_everything() -> None:
    logged: list[tuple[object, str]] = []
    manager = JobManager(on_failure=lambda key, log: logged.append((key, log)))

    def refused(watcher: Watcher) -> None:
        raise HeadlightError("Expected x, got y; do z.")

    def broken(watcher: Watcher) -> None:
        raise KeyError("secret detail")

    shown = manager.submit("refused", refused)
    hidden = manager.submit("broken", broken)
    after = manager.submit("after", lambda watcher: "still alive")
    assert after.wait(PATIENCE) and after.snapshot().result == "still alive"
    manager.close()

    assert shown.snapshot().state is hidden.snapshot().state is JobState.FAILED
    assert shown.snapshot().error == "Expected x, got y; do z."
    assert "secret detail" not in (hidden.snapshot().error or "") and "KeyError" in (hidden.snapshot().error or "")
    assert "secret detail" in (hidden.snapshot().log or "") and "Traceback" in (hidden.snapshot().log or "")
    assert shown.snapshot().log is None
    assert [key for key, _ in logged] == ["broken"]


def test_jobs_wait_for_each_other_in_the_order_asked(manager: JobManager) -> None:
    gates = [Gate(i) for i in range(3)]
    jobs = [manager.submit(i, gate) for i, gate in enumerate(gates)]
    assert gates[0].entered.wait(PATIENCE)
    assert [job.snapshot().place for job in jobs] == [0, 1, 2]
    assert [job.snapshot().state for job in jobs] == [JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    assert manager.running() == (jobs[0],)

    jobs[1].cancel()
    assert jobs[1].snapshot().state is JobState.CANCELLED and not gates[1].entered.is_set()
    assert jobs[2].snapshot().place == 1

    for gate in gates:
        gate.opened.set()
    assert jobs[2].wait(PATIENCE) and jobs[2].snapshot().result == 2
    assert not gates[1].entered.is_set()


def test_the_same_request_gives_the_same_job_until_it_failed_or_was_cancelled(manager: JobManager) -> None:
    gate = Gate()
    job = manager.submit("key", gate)
    assert gate.entered.wait(PATIENCE)
    assert manager.submit("key", Gate()) is job and manager.find("key") is job
    job.cancel()
    again = manager.submit("key", lambda watcher: "second try")
    assert again is not job
    assert again.wait(PATIENCE) and again.snapshot().result == "second try"
    assert job.snapshot().state is JobState.CANCELLED
    assert manager.submit("key", Gate()) is again


def test_a_job_that_ended_badly_is_tried_again(manager: JobManager) -> None:
    def refused(watcher: Watcher) -> None:
        raise HeadlightError("no")

    failed = manager.submit("failed", refused)
    assert failed.wait(PATIENCE)
    assert manager.submit("failed", lambda watcher: None) is not failed
    gate = Gate()
    blocker, cancelled = manager.submit("blocker", gate), manager.submit("cancelled", Gate())
    cancelled.cancel()
    assert manager.submit("cancelled", lambda watcher: None) is not cancelled
    gate.opened.set()
    assert blocker.wait(PATIENCE)


def test_two_threads_asking_at_once_get_one_job(manager: JobManager) -> None:
    runs: list[int] = []
    start = threading.Barrier(8)
    answers: list[object] = []

    def ask() -> None:
        start.wait(PATIENCE)
        answers.append(manager.submit("key", lambda watcher: runs.append(1)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(set(map(id, answers))) == 1
    assert manager.submit("key", lambda watcher: None).wait(PATIENCE)
    assert runs == [1]


def test_close_stops_the_work_and_refuses_more(manager: JobManager) -> None:
    gate, waiting = Gate(), Gate()
    running, queued = manager.submit(1, gate), manager.submit(2, waiting)
    assert gate.entered.wait(PATIENCE)
    manager.close(PATIENCE)
    assert not manager.running() and not manager.healthy
    assert running.snapshot().state is queued.snapshot().state is JobState.CANCELLED
    with pytest.raises(RuntimeError, match="closed"):
        manager.submit(3, gate)
