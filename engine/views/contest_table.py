"""Several searches of one task in one table: what each found, how true it is, how near the standard, what it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.ablation import Ablation
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.evaluation.bootstrap import Interval
from engine.heads import Head
from engine.settings import Algorithm, Method
from engine.trust.overlap import EdgeName, Overlap, edge_overlap, head_overlap
from engine.trust.self_check import STAGE as SELF_CHECK


@dataclass(frozen=True)
class Nearness:
    """How near a run's heads, or edges, are to those of the run it is held against, 0 to 1.

    ``precision``: of its own, the share that the other has. ``recall``: of the other's, the share that it has.
    ``jaccard``: of all, the share in both. ``common``: how many are in both. NaN for a share of nothing.
    """

    precision: float
    recall: float
    jaccard: float
    common: int


@dataclass(frozen=True)
class ContestRow:
    """One run. ``performance`` in percent, ``faithfulness`` a ratio, both on ``n`` pairs of ``seed`` with all other
    heads ablated; NaN, and None for how, where a run was stopped before. ``interval``: of the faithfulness, over the
    pairs. ``heads`` and ``edges`` are None where there is nothing to hold it against. ``gigaflops`` and ``seconds``
    are of the whole run, pruning and verification included, but for the self-check, which whoever comes first to a
    model does for all."""

    algorithm: Algorithm
    method: Method
    candidates: int  # heads it searched among
    size: int  # heads
    edge_count: int
    performance: float
    faithfulness: float
    interval: Interval | None
    n: int
    seed: int | None
    ablation: Ablation | None
    heads: Nearness | None
    edges: Nearness | None
    gigaflops: float
    seconds: float
    complete: bool


def compare_algorithms(found: Sequence[Discovery], against: Discovery | None) -> tuple[ContestRow, ...]:
    """A row a run, in their order; ``against`` is the standard, dense path patching as a rule.

    An edge of a KV head counts once for each head it is listed for. Raises HeadlightError where the runs are not of
    the same model and prompts: their numbers would not compare.
    """
    everyone = [*found, *([] if against is None else [against])]
    for run in everyone[1:]:
        _check_alike(everyone[0], run)
    return tuple(_row(run, against) for run in found)


def _row(run: Discovery, against: Discovery | None) -> ContestRow:
    circuit, checked = run.circuit, run.verification
    booked = [row for row in run.cost if row.stage != SELF_CHECK]
    return ContestRow(
        algorithm=run.settings.algorithm,
        method=run.settings.method,
        candidates=int(run.keep.sum()),
        size=len(circuit.heads),
        edge_count=len(circuit.edges),
        performance=math.nan if checked is None else checked.performance,
        faithfulness=math.nan if checked is None else checked.faithfulness,
        interval=None if checked is None else checked.interval,
        n=0 if checked is None else checked.n,
        seed=None if checked is None else checked.seed,
        ablation=None if checked is None else checked.ablation,
        heads=None if against is None else _nearness(head_overlap(circuit, against.circuit)),
        edges=None if against is None else _nearness(edge_overlap(circuit, against.circuit)),
        gigaflops=sum(row.flops for row in booked) / 1e9,
        seconds=sum(row.seconds for row in booked),
        complete=run.complete,
    )


def _nearness(overlap: Overlap[Head] | Overlap[EdgeName]) -> Nearness:
    return Nearness(overlap.precision, overlap.recall, overlap.jaccard, len(overlap.common))


def _check_alike(first: Discovery, other: Discovery) -> None:
    if first.settings.model != other.settings.model or first.prompts != other.prompts:
        one, two = (f"{run.settings.model} on {_prompts_of(run)}" for run in (first, other))
        raise HeadlightError(
            f"Expected runs of one model on the same prompts, got {one} and {two}. Search all of them with the same "
            "model, task, pairs and seed."
        )


def _prompts_of(run: Discovery) -> str:
    settings = run.settings
    return f"{settings.task} ({len(run.prompts)} pairs, seed {settings.seed}, {run.prompts.metric.value})"
