"""What judges a circuit behind the pages: evaluations, edges alone, stability, receipts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.jobs.job import Job
from engine.settings import Settings
from pages.shared import work
from pages.shared.background import background, begun_with, submit
from pages.shared.work import data_of

if TYPE_CHECKING:
    from engine.ablation import Ablation
    from engine.circuit import Circuit
    from engine.evaluation.plan import Plan
    from engine.heads import Head
    from engine.trust.claim import Target
    from engine.trust.draws import Plan as DrawPlan


def verify_job(settings: Settings, heads: tuple[Head, ...], seed: int) -> Job | None:
    return background().jobs.find(("verify", data_of(settings), heads, seed))


def start_verify(settings: Settings, heads: tuple[Head, ...], seed: int) -> Job:
    """Some heads alone on the prompts of ``seed``: seconds. Result: Verification."""
    data = data_of(settings)
    return submit(("verify", data, heads, seed), work.verify, data, heads, seed)


def evaluation_job(settings: Settings, circuit: Circuit, seed: int, plan: Plan) -> Job | None:
    return background().jobs.find(("evaluate", data_of(settings), circuit, seed, plan))


def start_evaluation(settings: Settings, circuit: Circuit, seed: int, plan: Plan) -> Job:
    """Everything about a circuit's heads on the prompts of ``seed``: seconds to minutes. Result: Evaluation."""
    data = data_of(settings)
    return submit(("evaluate", data, circuit, seed, plan), work.evaluate, data, circuit, seed, plan)


def edges_job(settings: Settings, circuit: Circuit, seed: int, ablation: Ablation) -> Job | None:
    return background().jobs.find(("edges", data_of(settings), circuit, seed, ablation))


def start_edges(settings: Settings, circuit: Circuit, seed: int, ablation: Ablation) -> Job:
    """A circuit's edges alone, and each of them: seconds to minutes. Result: EdgeEvaluation."""
    data = data_of(settings)
    return submit(("edges", data, circuit, seed, ablation), work.edges, data, circuit, seed, ablation)


def stability_job(settings: Settings, plan: DrawPlan) -> Job | None:
    return background().jobs.find(("stability", settings, plan))


def stability_jobs(settings: Settings) -> list[Job]:
    """All of these settings, whatever their plan, the one last used first."""
    return begun_with("stability", settings)[::-1]


def start_stability(settings: Settings, plan: DrawPlan) -> Job:
    """The circuit found again on other prompts: as many searches. Result: Stability."""
    return submit(("stability", settings, plan), work.stability, settings, plan)


def receipt_job(settings: Settings, circuit: Circuit, target: Target, ablation: Ablation, seed: int) -> Job | None:
    return background().jobs.find(("receipt", _judging(settings), circuit, target, ablation, seed))


def receipt_jobs(settings: Settings, circuit: Circuit) -> list[Job]:
    """All of this circuit, the one last asked for first."""
    found = begun_with("receipt", _judging(settings), circuit)
    return sorted(found, key=lambda job: job.snapshot().started or float("inf"), reverse=True)


def start_receipt(settings: Settings, circuit: Circuit, target: Target, ablation: Ablation, seed: int) -> Job:
    """What one head or edge does on the prompts of ``seed``: seconds. Result: Receipts, of this one."""
    judging = _judging(settings)
    return submit(
        ("receipt", judging, circuit, target, ablation, seed), work.receipt, judging, circuit, target, ablation, seed
    )


def _judging(settings: Settings) -> Settings:
    """What a verdict depends on besides its data: the smallest effect that counts."""
    return replace(data_of(settings), min_effect=settings.min_effect)
