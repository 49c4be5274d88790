"""Finished jobs are remembered for a while: how many, and which go first; results of before are adopted."""

from __future__ import annotations

from engine.jobs.manager import JobManager
from engine.jobs.snapshot import JobState
from tests.engine.jobs.test_manager import PATIENCE, Gate


def test_the_least_recently_used_finished_job_is_forgotten(manager: JobManager) -> None:
    for key in "abc":
        assert manager.submit(key, lambda watcher: None).wait(PATIENCE)
    manager.find("a")
    assert manager.submit("d", lambda watcher: None).wait(PATIENCE)
    gate = Gate()  # the worker tidies up before it takes the next job
    manager.submit("live", gate)
    assert gate.entered.wait(PATIENCE)
    assert [manager.find(key) is not None for key in "abcd"] == [True, False, True, True]
    manager.forget("a")
    manager.forget("live")
    assert manager.find("a") is None and manager.find("live") is not None


def test_what_took_long_is_not_pushed_out_by_what_was_quick() -> None:
    manager = JobManager(keep=1, keep_of={"search": 2})
    for key in [("search", 1), ("search", 2), ("pilot", 1), ("pilot", 2), ("curve", 1), ("search", 3)]:
        assert manager.submit(key, lambda watcher: None).wait(PATIENCE)
    gate = Gate()  # the worker tidies up before it takes the next job
    manager.submit("live", gate)
    assert gate.entered.wait(PATIENCE)
    assert set(manager.known()) == {("search", 2), ("search", 3), ("pilot", 2), ("curve", 1), "live"}
    manager.close(PATIENCE)


def test_a_result_found_before_is_adopted_as_a_finished_job(manager: JobManager) -> None:
    job = manager.adopt(("search", 1), "found", seconds=12.5, started=1000.0)
    shot = job.snapshot()
    assert (shot.state, shot.result, shot.seconds) == (JobState.DONE, "found", 12.5)
    assert (shot.started, shot.ended) == (1000.0, 1012.5) and job.wait(0) and not job.live
    assert manager.submit(("search", 1), lambda watcher: "again") is job, "asking again is answered by it"
    job.cancel()
    assert job.snapshot().state is JobState.DONE


def test_what_is_adopted_never_replaces_a_job_that_is_there(manager: JobManager) -> None:
    gate = Gate()
    live = manager.submit("key", gate)
    assert gate.entered.wait(PATIENCE)
    assert manager.adopt("key", "found") is live
    gate.opened.set()
    assert live.wait(PATIENCE) and manager.adopt("key", "found").snapshot().result == "result"

    failed = manager.submit("other", lambda watcher: 1 / 0)
    assert failed.wait(PATIENCE) and failed.snapshot().state is JobState.FAILED
    assert manager.adopt("other", "found").snapshot().result == "found"


def test_adopted_jobs_are_forgotten_like_others(manager: JobManager) -> None:
    for number in range(5):
        manager.adopt(("search", number), number)
    assert manager.known() == (("search", 2), ("search", 3), ("search", 4))  # the fixture keeps three of a kind
