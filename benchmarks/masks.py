"""Which head score finds the heads of the dense circuit, at equal mask size.

1. For each task: dense path patching, screened, default thresholds; its circuit is what masks should hold.
2. Every score of the same prompts. Masks of one size are compared, so
   FLAP and Contrastive-FLAP together are their union at equal size.
3. Recall: the share of the circuit's heads among the top heads of the score. And the smallest mask, as a share of all
   heads, that holds nine tenths of them.

Also what each score takes beyond the clean and corrupted runs every mask needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.models import BUNDLED, QUICK_TASK, TOY, bundled, toy, warm
from benchmarks.search import PAIRS, TASKS, LeftOut
from engine.cost.ledger import CostRow
from engine.errors import HeadlightError
from engine.heads import mask_of
from engine.models.model import Model
from engine.pipeline import discover
from engine.prepare import Prepared, prepare
from engine.progress import Watcher
from engine.scores.kinds import Score, Source
from engine.scoring.attribution import with_score
from engine.scoring.score_recall import ScoreRecall, write_recall
from engine.settings import Method, Settings

SHARES = (0.10, 0.15, 0.20, 0.30, 0.40)  # of all heads
TOLD = 0.30  # the share the app tells of
ENOUGH = 0.9
SCORES = tuple(score for score in Score if score is not Score.MERGED)  # two masks together have no size of their own


@dataclass(frozen=True)
class Recall:
    """One score on one task: ``sizes`` of its masks in heads and the circuit's share in each, one a share of SHARES."""

    task: str
    score: str
    heads: int  # of the model
    circuit: int  # heads of the dense circuit
    sizes: list[int]
    recall: list[float]
    smallest: float  # share of all heads that holds ENOUGH of the circuit
    passes: float  # forward passes the score takes beyond the runs of every mask
    seconds: float


def measure(repeats: int, quick: bool) -> Iterator[Recall | LeftOut]:
    """``repeats`` are taken for the seconds alone; the smallest is told."""
    model = toy() if quick else bundled()
    for number, task in enumerate((QUICK_TASK,) if quick else TASKS):
        settings = Settings(model=TOY if quick else BUNDLED, task=task, pairs=PAIRS)
        try:
            prepared = prepare(model, settings, Watcher())
            if number == 0:
                warm(model, prepared.prompts)
            yield from _task(model, prepared, repeats)
        except HeadlightError as error:
            yield LeftOut(task, str(error))


def _task(model: Model, prepared: Prepared, repeats: int) -> Iterator[Recall]:
    found = discover(model, replace(prepared.settings, method=Method.DENSE), Watcher(), prepared)
    circuit = mask_of(found.circuit.heads, model.n_layers, model.n_heads)
    if not circuit.any():
        raise HeadlightError(f"The dense circuit of {prepared.settings.task} is empty, so no mask can hold it.")
    scored, costs = _all_scores(prepared, repeats)
    for score in SCORES:
        sizes, recall = recall_at(scored.scores.of(score), circuit, SHARES)
        cost = costs.get(score.source)
        yield Recall(
            task=prepared.settings.task,
            score=score.value,
            heads=circuit.numel(),
            circuit=int(circuit.sum()),
            sizes=sizes,
            recall=recall,
            smallest=smallest_share(scored.scores.of(score), circuit, ENOUGH),
            passes=cost.forward_passes if cost else 0.0,
            seconds=cost.seconds if cost else 0.0,
        )


def _all_scores(prepared: Prepared, repeats: int) -> tuple[Prepared, dict[Source, CostRow]]:
    """With every score, and the quickest of ``repeats`` by source."""
    costs: dict[Source, CostRow] = {}
    scored = prepared
    for _ in range(repeats):
        for score in (Score.ATTRIBUTION, Score.INTEGRATED_ATTRIBUTION, Score.WALK):
            row = with_score(prepared, score, Watcher()).cost[-1]
            if score.source not in costs or row.seconds < costs[score.source].seconds:
                costs[score.source] = row
    for score in SCORES:
        scored = with_score(scored, score, Watcher())
    return scored, costs


def recall_at(scores: Tensor, circuit: Tensor, shares: Sequence[float]) -> tuple[list[int], list[float]]:
    """Sizes of the masks of the top ``shares`` of all heads, and the share of the circuit each holds."""
    found = _found(scores, circuit)
    sizes = [round(share * scores.numel()) for share in shares]
    return sizes, [float(found[size] / found[-1]) for size in sizes]


def smallest_share(scores: Tensor, circuit: Tensor, enough: float) -> float:
    """Share of all heads in the smallest mask that holds ``enough`` of the circuit."""
    found = _found(scores, circuit)
    return int((found >= enough * found[-1]).nonzero()[0]) / scores.numel()


def _found(scores: Tensor, circuit: Tensor) -> Tensor:
    """Heads of the circuit among the top k by score, for k = 0 … all; equal scores in layer order."""
    order = scores.flatten().argsort(descending=True, stable=True)
    return torch.cat([torch.zeros(1), circuit.flatten()[order].double().cumsum(0)])


def publish(rows: Sequence[Any]) -> None:
    """Write what the app tells of the scores."""
    recalls = [row for row in rows if isinstance(row, Recall)]
    if not recalls:
        return
    place = SHARES.index(TOLD)
    by_task: dict[str, dict[Score, float]] = {}
    for row in recalls:
        by_task.setdefault(row.task, {})[Score(row.score)] = row.recall[place]
    write_recall(ScoreRecall(BUNDLED, PAIRS, TOLD, by_task))
