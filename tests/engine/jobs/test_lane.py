"""Devices side by side, and short jobs beside long ones: who works when, with the same results."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from engine.jobs.manager import JobManager
from engine.jobs.snapshot import JobState
from engine.jobs.turns import Line, Turn
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Method, Settings
from tests.engine.jobs.test_manager import PATIENCE, Gate
from tests.engine.jobs.test_race import same
from tests.engine.jobs.test_turns import run, work_for

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, method=Method.DENSE)


@pytest.fixture
def lanes():
    manager = JobManager(keep=3, short=("short",), slice_seconds=0.0)
    yield manager
    manager.close(PATIENCE)
    assert not manager.running() and not manager.healthy


def test_each_device_works_for_itself(lanes: JobManager) -> None:
    gates = {device: Gate(device) for device in ("cpu", "cuda", "mps")}
    jobs = [lanes.submit(device, gate, lane=device) for device, gate in gates.items()]
    assert all(gate.entered.wait(PATIENCE) for gate in gates.values())
    waiting = lanes.submit("next", lambda watcher: None, lane="cuda")
    assert lanes.running() == tuple(jobs) and lanes.waiting() == (waiting,) and waiting.snapshot().place == 1
    assert lanes.healthy
    gates["cuda"].opened.set()
    assert waiting.wait(PATIENCE) and jobs[0].live and jobs[2].live


def test_a_short_job_runs_while_a_long_one_does_and_the_long_one_goes_on(lanes: JobManager) -> None:
    gate = Gate()
    long = lanes.submit("long", gate)
    assert gate.entered.wait(PATIENCE)
    second = lanes.submit("second", Gate())
    short = lanes.submit(("short", 1), lambda watcher: "at once")
    assert short.wait(PATIENCE) and short.snapshot().result == "at once"
    assert long.snapshot().state is JobState.RUNNING and second.snapshot().state is JobState.QUEUED
    gate.opened.set()
    assert long.wait(PATIENCE) and long.snapshot().state is JobState.DONE


def test_short_jobs_wait_for_each_other_and_long_ones_do_not_count(lanes: JobManager) -> None:
    gates = [Gate() for _ in range(3)]
    lanes.submit("long", gates[0])
    lanes.submit(("short", 1), gates[1])
    assert gates[0].entered.wait(PATIENCE) and gates[1].entered.wait(PATIENCE)
    waiting = lanes.submit(("short", 2), gates[2])
    assert waiting.snapshot().place == 1
    waiting.cancel()
    assert waiting.snapshot().state is JobState.CANCELLED and not lanes.waiting()


def test_one_that_stepped_aside_leaves_its_place_to_the_next(lanes: JobManager) -> None:
    away, back = threading.Event(), threading.Event()

    def loads(watcher: Watcher) -> str:
        with watcher.aside():
            away.set()
            while not back.wait(0.005):
                watcher.step("loading", 0, 1)  # may be cancelled, hands nothing on
        watcher.check()
        return "loaded"

    loading = lanes.submit(("short", "loads"), loads)
    assert away.wait(PATIENCE)
    assert lanes.submit(("short", "quick"), lambda watcher: "quick").wait(PATIENCE)
    assert loading.snapshot().state is JobState.RUNNING
    back.set()
    assert loading.wait(PATIENCE) and loading.snapshot().result == "loaded"


def test_one_that_stepped_aside_can_be_cancelled(lanes: JobManager) -> None:
    away = threading.Event()

    def loads(watcher: Watcher) -> None:
        with watcher.aside():
            away.set()
            while True:
                watcher.step("loading", 0, 1)

    job = lanes.submit(("short", "loads"), loads)
    assert away.wait(PATIENCE)
    job.cancel()
    assert job.wait(PATIENCE) and job.snapshot().state is JobState.CANCELLED
    assert lanes.submit(("short", "next"), lambda watcher: "next").wait(PATIENCE)


def test_a_search_interrupted_by_short_jobs_finds_bitwise_what_it_finds_alone(toy_model, lanes: JobManager) -> None:
    alone = discover(toy_model, SETTINGS, Watcher())
    other = replace(SETTINGS, seed=7, pairs=5)
    prepared_alone = prepare(toy_model, other, Watcher())
    begun = threading.Event()

    def search(watcher: Watcher) -> object:
        watcher.step("begin", 0, 1)
        begun.set()
        return discover(toy_model, SETTINGS, watcher)

    long = lanes.submit("search", search)
    assert begun.wait(PATIENCE)
    during = []
    for number in range(4):
        job = lanes.submit(("short", number), lambda watcher: prepare(toy_model, other, watcher))
        during.append(long.live)
        assert job.wait(PATIENCE), "a short job hangs"
        for score, values in job.snapshot().result.scores.measured.items():
            assert values.equal(prepared_alone.scores.measured[score])
    assert long.wait(PATIENCE) and during[0]
    same(long.snapshot().result, alone)


def test_a_newcomer_has_the_next_turn_and_three_times_the_share() -> None:
    line = Line(slice_seconds=0.004)
    [long] = line.join()
    chunks, done = [0], threading.Event()
    at_first: list[float] = []
    had: dict[str, float] = {}

    def long_work() -> None:
        with long:
            while not done.is_set():
                work_for(0.001)
                chunks[0] += 1
                if chunks[0] == 5:
                    [turn] = line.join(weight=3.0)
                    threading.Thread(target=short_work, args=(turn,), daemon=True).start()
                long.pass_on()

    def short_work(turn: Turn) -> None:
        with turn:
            at_first.append(chunks[0])
            before = long.now(), turn.now()
            while turn.now() < before[1] + 0.3:
                work_for(0.001)
                turn.pass_on()
            had["long"], had["short"] = long.now() - before[0], turn.now() - before[1]
            done.set()

    run(long_work)
    assert at_first == [5]  # at the very next check
    assert 0.05 < had["long"] < 0.2 and had["short"] >= 0.3  # a third of it, give or take a slice on a busy machine


def test_the_clock_of_a_long_job_stands_while_a_short_one_works(lanes: JobManager) -> None:
    gate = Gate()
    long = lanes.submit("long", gate)
    assert gate.entered.wait(PATIENCE)
    before = long.snapshot().seconds

    def short(watcher: Watcher) -> float:
        begun = long.snapshot().seconds
        work_for(0.2)
        return long.snapshot().seconds - begun

    job = lanes.submit(("short", 1), short)
    assert job.wait(PATIENCE) and job.snapshot().result == 0.0
    gate.opened.set()
    assert long.wait(PATIENCE) and long.snapshot().seconds >= before


def test_a_long_job_has_a_quarter_of_the_time_while_short_ones_work(lanes: JobManager) -> None:
    begun, done = threading.Event(), threading.Event()

    def long(watcher: Watcher) -> None:
        while not done.is_set():
            work_for(0.001)
            watcher.check()
            begun.set()

    def short(watcher: Watcher) -> float:
        before, end = job.snapshot().seconds, watcher.now() + 0.3
        while watcher.now() < end:
            work_for(0.001)
            watcher.check()
        return job.snapshot().seconds - before

    job = lanes.submit("long", long)
    assert begun.wait(PATIENCE)
    beside = lanes.submit(("short", 1), short)
    assert beside.wait(PATIENCE)
    done.set()
    assert 0.05 < beside.snapshot().result < 0.2
