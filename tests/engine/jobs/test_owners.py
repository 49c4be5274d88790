"""Several people and one queue: fair places, shared jobs, and what a cancel of one of them does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.jobs.job import Job
from engine.jobs.manager import JobManager, QueueLimits
from engine.jobs.snapshot import JobState
from tests.engine.jobs.test_manager import PATIENCE, Gate


class Visitors:
    """Who is there, and what the manager has told."""

    def __init__(self) -> None:
        self.gone: set[object] = set()
        self.told: list[tuple[str, object]] = []

    def here(self, owner: object) -> bool:
        return owner not in self.gone

    def hear(self, event: str, job: Job) -> None:
        self.told.append((event, job.key))


@pytest.fixture
def visitors() -> Visitors:
    return Visitors()


@pytest.fixture
def crowd(visitors: Visitors) -> Iterator[JobManager]:
    limits = QueueLimits(each=4, all=6)
    manager = JobManager(keep=3, short=("short",), limits=limits, is_here=visitors.here, tell=visitors.hear)
    yield manager
    manager.close(PATIENCE)


def blocked(manager: JobManager) -> tuple[Job, Gate]:
    gate = Gate()
    job = manager.submit("blocker", gate, "nobody")
    assert gate.entered.wait(PATIENCE)
    return job, gate


def places(*jobs: Job) -> list[int]:
    return [job.snapshot().place for job in jobs]


def test_one_who_queued_many_does_not_hold_up_another(crowd: JobManager) -> None:
    _, gate = blocked(crowd)
    begun: list[str] = []

    def note(name: str):
        return lambda watcher: begun.append(name)

    many = [crowd.submit(f"a{i}", note(f"a{i}"), "a") for i in range(3)]
    one = crowd.submit("b", note("b"), "b")
    assert places(*many, one) == [1, 3, 4, 2]  # the blocker, then a b a a
    gate.opened.set()
    assert many[-1].wait(PATIENCE)
    assert begun == ["a0", "b", "a1", "a2"]


def test_an_identical_request_runs_once_and_takes_the_better_place(crowd: JobManager) -> None:
    _, gate = blocked(crowd)
    runs: list[int] = []
    [_, shared] = [crowd.submit(key, lambda watcher: runs.append(1), "a") for key in ("first", "shared")]
    other = crowd.submit("other", lambda watcher: None, "c")
    assert places(shared, other) == [3, 2]
    assert crowd.submit("shared", lambda watcher: runs.append(2), "b") is shared
    assert crowd.owners(shared) == ("a", "b") and places(shared, other) == [2, 3]  # asked for before c's
    gate.opened.set()
    assert shared.wait(PATIENCE) and runs == [1, 1]
    assert crowd.submit("shared", lambda watcher: runs.append(3), "d") is shared  # done: the same result
    assert runs == [1, 1]


def test_cancelled_by_one_it_goes_on_for_the_other_and_by_both_it_ends(crowd: JobManager, visitors: Visitors) -> None:
    gate = Gate()
    job = crowd.submit("key", gate, "a")
    crowd.submit("key", gate, "b")
    assert gate.entered.wait(PATIENCE)
    assert crowd.wanted_by_others(job, "a") and not crowd.withdraw(job, "a")
    assert job.live and not job.snapshot().cancelling and crowd.owners(job) == ("b",)
    crowd.join(job, "a")  # his page still shows it, which does not make him want it again
    assert crowd.owners(job) == ("b",)
    assert not crowd.withdraw(job, "stranger") and job.live
    assert crowd.withdraw(job, "b")
    assert job.wait(PATIENCE) and job.snapshot().state is JobState.CANCELLED
    assert ("joined", "key") in visitors.told


def test_who_asks_again_after_withdrawing_wants_it_again(crowd: JobManager) -> None:
    gate = Gate()
    job = crowd.submit("key", gate, "a")
    crowd.submit("key", gate, "b")
    crowd.withdraw(job, "a")
    assert crowd.submit("key", gate, "a") is job and crowd.owners(job) == ("b", "a")
    assert not crowd.withdraw(job, "b") and job.live


def test_those_who_left_do_not_keep_a_job(crowd: JobManager, visitors: Visitors) -> None:
    gate = Gate()
    job = crowd.submit("key", gate, "a")
    visitors.gone.add("a")  # his window is closed: the job goes on, and whoever finds it may cancel it
    assert gate.entered.wait(PATIENCE) and job.live and not crowd.wanted_by_others(job, "b")
    assert crowd.withdraw(job, "b") and job.wait(PATIENCE)


def test_a_job_of_nobody_may_be_cancelled_by_anyone(crowd: JobManager) -> None:
    job = crowd.submit("key", Gate())
    assert crowd.owners(job) == () and crowd.withdraw(job, "anyone") and job.wait(PATIENCE)


def test_too_many_waiting_are_refused_with_a_sentence_and_push_nothing_out(
    crowd: JobManager, visitors: Visitors
) -> None:
    done = crowd.submit("done", lambda watcher: "kept", "a")
    assert done.wait(PATIENCE)
    _, gate = blocked(crowd)
    own = [crowd.submit(f"a{i}", lambda watcher: None, "a") for i in range(5)]
    assert [job.snapshot().state for job in own] == [JobState.QUEUED] * 4 + [JobState.FAILED]
    assert own[-1].snapshot().error == (
        "You have 4 jobs waiting, and 4 may wait for each visitor. Wait until one of them is done, or cancel one, and "
        "ask again."
    )
    others = [crowd.submit(f"b{i}", lambda watcher: None, "b") for i in range(3)]
    assert [job.live for job in others] == [True, True, False]
    assert "6 jobs of all visitors wait already, and no more than 6 may" in (others[-1].snapshot().error or "")
    both = crowd.submit_together([("x", lambda watcher: None), ("y", lambda watcher: None)], "c")
    assert not any(job.live for job in both)  # together or not at all
    assert crowd.submit("a0", lambda watcher: None, "d") is own[0]  # what waits already is no more work
    for number in range(5):
        crowd.refuse(f"refused {number}", "No.")
    assert crowd.find("done") is done
    assert [event for event, key in visitors.told if key == "a4"] == ["refused"]
    gate.opened.set()
    assert own[3].wait(PATIENCE)
    again = crowd.submit("a4", lambda watcher: "now", "a")
    assert again.wait(PATIENCE) and again.snapshot().result == "now"


def test_a_refusal_tells_why_and_is_no_answer_to_the_next_request(crowd: JobManager) -> None:
    refused = crowd.refuse("key", "Expected x, got y.")
    assert (refused.snapshot().state, refused.snapshot().error) == (JobState.FAILED, "Expected x, got y.")
    job = crowd.submit("key", lambda watcher: 1)
    assert job is not refused and job.wait(PATIENCE)
    assert crowd.refuse("key", "Too late.") is job


def test_what_is_told_of_a_job_from_beginning_to_end(crowd: JobManager, visitors: Visitors) -> None:
    assert crowd.submit("key", lambda watcher: None, "a").wait(PATIENCE)
    crowd.close(PATIENCE)
    assert visitors.told == [("queued", "key"), ("started", "key"), ("over", "key")]
