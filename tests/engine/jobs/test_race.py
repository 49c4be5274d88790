"""Two searches by turns: each finds, counts and keeps what it would alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.jobs.job import Job
from engine.jobs.manager import JobManager
from engine.jobs.snapshot import JobState
from engine.machine.memory import ROWS, MemoryPlan, kept_bytes, plan_memory, plan_of_each
from engine.models.loading import load_model
from engine.pipeline import discover
from engine.prepare import Prepared, prepare
from engine.progress import Watcher
from engine.pruning.sparsity_sweep import STAGE as SPARSITY_SWEEP
from engine.search.path_patching import STAGE
from engine.settings import Method, Mode, Settings
from engine.trust.self_check import STAGE as SELF_CHECK
from tests.engine.random_prompts import random_prompts

PATIENCE = 120.0
APP = Settings(model="toy-induction", task="induction-random", pairs=8)
DENSE = replace(APP, method=Method.DENSE)


@pytest.fixture
def manager() -> Iterator[JobManager]:
    manager = JobManager(slice_seconds=0.0)  # a turn at every check: the hardest on locks
    yield manager
    manager.close(PATIENCE)
    assert not manager.running() and not manager.healthy


@pytest.fixture
def low_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the few heads of a tiny random model none would stand out."""
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", -0.6)


def race(manager: JobManager, prepared: Prepared, contestants: Sequence[Settings]) -> list[Job]:
    return manager.submit_together(
        [(s, lambda watcher, s=s: discover(prepared.model, s, watcher, prepared)) for s in contestants]
    )


def results(jobs: Sequence[Job]) -> list[Discovery]:
    for job in jobs:
        assert job.wait(PATIENCE), "a contestant hangs"
    shots = [job.snapshot() for job in jobs]
    assert [shot.state for shot in shots] == [JobState.DONE] * len(jobs), [(s.error, s.log) for s in shots]
    return [shot.result for shot in shots]


def same(one: Discovery, other: Discovery) -> None:
    """Bit for bit, and with the same work booked; who came first to the model's self-check is left out."""
    assert one.circuit == other.circuit and one.verification == other.verification
    assert one.screening == other.screening or (one.screening and other.screening and one.screening.recomputed == 0)
    assert len(one.steps) == len(other.steps)
    for step, again in zip(one.steps, other.steps, strict=True):
        torch.testing.assert_close(step.effects, again.effects, rtol=0, atol=0, equal_nan=True)
    booked = [[(r.stage, r.flops) for r in run.cost if r.stage != SELF_CHECK] for run in (one, other)]
    assert booked[0] == booked[1]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_each_finds_what_it_finds_alone(tiny_model, manager, low_thresholds, kind, mode) -> None:
    settings = Settings(model=kind, task="custom", mode=mode, threshold_scale=0.0, min_effect=0.0, sparsity=0.25)
    pair = [settings, replace(settings, method=Method.DENSE, sparsity=None)]
    prepared = prepare(tiny_model(kind), settings, Watcher(), random_prompts())
    alone = [discover(prepared.model, each, Watcher(), prepared) for each in pair]
    together = results(race(manager, prepared, pair))
    for one, other in zip(alone, together, strict=True):
        same(one, other)
    assert all(run.circuit.edges for run in together) and together[0].circuit != together[1].circuit


def test_two_that_hook_the_same_model_do_not_wait_for_each_other_forever(
    tiny_model_folder, manager, low_thresholds, monkeypatch
) -> None:
    monkeypatch.setattr("engine.models.model.known_parts", lambda config: False)
    model = load_model(str(tiny_model_folder("gpt2")))
    assert not model.fast
    settings = Settings(model="gpt2", task="custom", threshold_scale=0.0, min_effect=0.0, sparsity=0.25)
    pair = [settings, replace(settings, method=Method.DENSE, sparsity=None)]
    prepared = prepare(model, settings, Watcher(), random_prompts())
    alone = [discover(model, each, Watcher(), prepared) for each in pair]
    together = results(race(manager, prepared, pair))
    for one, other in zip(alone, together, strict=True):
        same(one, other)
    assert together[1].circuit.edges


def test_the_ledger_counts_a_contestants_own_seconds_alone(toy_model) -> None:
    manager = JobManager(slice_seconds=0.01)
    prepared = prepare(toy_model, APP, Watcher())
    jobs = race(manager, prepared, [APP, DENSE])
    found, shots = results(jobs), [job.snapshot() for job in jobs]
    manager.close(PATIENCE)
    walls = [(shot.ended or 0) - (shot.started or 0) for shot in shots]
    for run, shot in zip(found, shots, strict=True):
        in_job = sum(row.seconds for row in run.cost) - sum(row.seconds for row in prepared.cost)
        assert in_job <= shot.seconds + 0.01
    assert sum(shot.seconds for shot in shots) <= max(walls) + 0.05  # by turns: together they fill the time, no more
    assert SPARSITY_SWEEP in [row.stage for row in found[0].cost]
    assert [shot.flops for shot in shots] == pytest.approx([sum(r.flops for r in run.cost) for run in found])
    assert all(shot.predicted == run.predicted for shot, run in zip(shots, found, strict=True))


def test_the_pruning_is_charged_even_if_it_was_at_hand(toy_model, manager) -> None:
    from engine.pruning.sparsity_sweep import prune

    prepared = prepare(toy_model, APP, Watcher())
    pruning = prune(prepared, Watcher())
    job = manager.submit(APP, lambda watcher: discover(toy_model, APP, watcher, prepared, pruning))
    [found] = results([job])
    assert next(row for row in found.cost if row.stage == SPARSITY_SWEEP) == pruning.cost[0]
    assert job.snapshot().flops == pytest.approx(sum(row.flops for row in found.cost))


def test_cancelling_one_keeps_its_part_and_the_other_goes_on(toy_model, manager) -> None:
    prepared = prepare(toy_model, APP, Watcher())
    begun = threading.Event()
    jobs: list[Job] = []

    class Cancelling(Watcher):
        """Passes on what a search needs; cancels the first job once it has found a circuit."""

        def __init__(self, inner: Watcher) -> None:
            self.inner = inner

        def report(self, stage: str, done: float, total: float) -> None:
            self.inner.report(stage, done, total)

        def found(self, circuit: Circuit) -> None:
            self.inner.found(circuit)
            assert begun.wait(PATIENCE)
            jobs[0].cancel()

        def cancelled(self) -> bool:
            return self.inner.cancelled()

    jobs += manager.submit_together([
        (APP, lambda watcher: discover(toy_model, APP, Cancelling(watcher), prepared)),
        (DENSE, lambda watcher: discover(toy_model, DENSE, watcher, prepared)),
    ])  # fmt: skip
    begun.set()
    assert all(job.wait(PATIENCE) for job in jobs)
    stopped, whole = (job.snapshot() for job in jobs)
    assert stopped.state is JobState.CANCELLED and not stopped.result.complete
    assert stopped.result.circuit == stopped.circuit and stopped.result.circuit.heads
    assert whole.state is JobState.DONE and whole.result.complete
    same(whole.result, discover(toy_model, DENSE, Watcher(), prepared))


def test_one_that_fails_does_not_hurt_the_other(toy_model, manager) -> None:
    prepared = prepare(toy_model, APP, Watcher())

    def fails(watcher: Watcher) -> None:
        watcher.step(STAGE, 1, 2)
        raise HeadlightError("Expected a, got b.")

    failed, whole = manager.submit_together(
        [("fails", fails), (DENSE, lambda watcher: discover(toy_model, DENSE, watcher, prepared))]
    )
    [found] = results([whole])
    assert found.complete
    assert failed.wait(PATIENCE) and failed.snapshot().error == "Expected a, got b."


def test_each_plan_together_stays_within_the_memory_of_one(tiny_model) -> None:
    model, prompts = tiny_model("llama"), random_prompts()
    positions = sum(len(pair.clean_tokens) for pair in prompts.pairs)
    plan = plan_memory(model, prompts, budget=10_000 * kept_bytes(model, positions))
    each = plan_of_each(plan, model, prompts, 2)
    assert (each.rows, each.gradient_rows) == (plan.rows, plan.gradient_rows)  # the same chunks: the same results
    assert 0 < each.streams < plan.streams / 2
    assert plan_of_each(MemoryPlan(ROWS, ROWS, 1.0), model, prompts, 2).streams == 0
    assert plan_of_each(plan, model, prompts, 1) == plan
