"""Scores that cost backward passes, measured when they are asked for (engine/scores/attribution.py has the formulas).

1. Attribution, summed and by position: one forward and backward pass of the clean prompts.
2. Integrated attribution: the same at each of 5 points on the way from corrupted to clean embeddings; the gradients
   are averaged, the change of z is the whole one. Effects of all heads do not add up to the metric's change, as
   gradients of the embeddings themselves would: heads lie behind one another.
3. The walk by estimates (engine/scoring/walk.py), with integrated attribution, which it is combined with.

Each is booked under a stage of its own. A model whose parts are not known runs hooked forwards that autograd follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.activations import BatchActivations
from engine.cost.ledger import CostRow, Ledger, gradient_flops, hooked_flops, pass_flops, together
from engine.errors import HeadlightError
from engine.hooked import end_logits, hooked_gradients, recorded_embeddings
from engine.machine.chunks import halved
from engine.models.bridge import EMBEDDING
from engine.models.flops import MatmulCounter
from engine.models.hooks import TOLERANCES, replacing
from engine.models.model import Model
from engine.notes.journal import Journal
from engine.notes.notes import Notes
from engine.patching.gradients import path_shares, read_count, z_gradients
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.scores import attribution_scores, position_attribution_scores, token_attributions
from engine.scores.head_scores import HeadScores
from engine.scores.kinds import LAZY, PATH_STEPS, Score, Source
from engine.scoring.walk import measure_walk, walk_flops
from engine.settings import Settings

FORMULAS = {
    Score.ATTRIBUTION: attribution_scores,
    Score.POSITION_ATTRIBUTION: position_attribution_scores,
    Score.INTEGRATED_ATTRIBUTION: position_attribution_scores,
}
PATHS = (Source.PATH, Source.EDGES)  # their gradients are averaged on the way from corrupted to clean
HOOKED_BACKWARD = 2  # forwards that a hooked forward with its backward pass takes: no weight has a gradient


@dataclass(frozen=True, eq=False)
class Measured:
    """Scores with those of one source among them, and what that took."""

    scores: HeadScores
    cost: CostRow


def with_score(prepared: Prepared, score: Score, watcher: Watcher, journal: Journal | None = None) -> Prepared:
    """``prepared`` with ``score`` among its scores, measured now if it is not there; raises Cancelled.

    What ``journal`` has of it is not measured again.
    """
    if prepared.scores.has(score):
        return prepared
    return added(prepared, measure(prepared, score.source, watcher, journal))


def added(prepared: Prepared, measured: Measured) -> Prepared:
    """``prepared`` with the scores that were measured on it, and their cost."""
    others = tuple(row for row in prepared.cost if row.stage != measured.cost.stage)
    return replace(prepared, scores=measured.scores, cost=(*others, measured.cost))


def measure(prepared: Prepared, source: Source, watcher: Watcher, journal: Journal | None = None) -> Measured:
    """The scores of one source of ``LAZY``; raises Cancelled. What ``journal`` has of it is not measured again."""
    ledger = Ledger(pass_flops(prepared.model, prepared.prompts), watcher.spend, watcher.now)
    notes, place = Notes(journal or Journal(), ledger), f"score.{source.name.lower()}"
    shape = tuple(prepared.scores.flap.shape)
    found = notes.read(place, lambda note: {s: note.tensor(s.value, shape, torch.float32) for s in LAZY[source]})
    if found is None:
        found = _measured(prepared, source, watcher, ledger)
        notes.write(place, {}, {score.value: values for score, values in found.items()})
    rows = ledger.rows()
    scores = HeadScores({**prepared.scores.measured, **found})
    return Measured(scores, together(rows, source.value, [row.stage for row in rows]))


def _measured(prepared: Prepared, source: Source, watcher: Watcher, ledger: Ledger) -> dict[Score, Tensor]:
    """``[layer head]`` of each score."""
    if source in PATHS and not prepared.model.fast:
        _check_embeddings(prepared.model, prepared.activations.batches)
    found = {}
    with ledger.stage(source.value):
        if source is Source.EDGES:
            found[Score.WALK] = measure_walk(prepared, ledger, lambda share: watcher.step(source.value, share, 1))
        attributions = _attributions(prepared, source, watcher, ledger)
        for score in LAZY[source]:
            if score in FORMULAS:
                found[score] = FORMULAS[score](attributions)
    return found


def cost_of(prepared: Prepared, settings: Settings) -> tuple[CostRow, ...]:
    """What a run of ``settings`` owes of ``prepared.cost``: scores that others asked for are left out."""
    return tuple(row for row in prepared.cost if row.stage in (Source.RUNS, settings.score_source))


def source_flops(prepared: Prepared, source: Source) -> float:
    """What ``measure`` will book; for a model that has only hooks, roughly."""
    points = _points(source)
    if not prepared.model.fast:
        return points * HOOKED_BACKWARD * hooked_flops(prepared.model, prepared.prompts)
    parts = prepared.model.parts
    shapes = [(item, *item.batch.clean.shape) for item in prepared.activations.batches]
    once = sum(gradient_flops(parts, pairs, length, read_count(parts, item)) for item, pairs, length in shapes)
    return points * once + (walk_flops(prepared) if source is Source.EDGES else 0.0)


def _points(source: Source) -> int:
    return PATH_STEPS if source in PATHS else 1


def _attributions(prepared: Prepared, source: Source, watcher: Watcher, ledger: Ledger) -> list[Tensor]:
    """a_nt ``[layer batch pos head]`` of each batch."""
    shares, items = path_shares(_points(source)), prepared.activations.batches
    found = []
    for number, item in enumerate(items):
        gradient = torch.zeros_like(item.clean_z, dtype=torch.float32)
        for step, share in enumerate(shares):
            watcher.step(source.value, number * len(shares) + step, len(items) * len(shares))
            gradient += _gradients(prepared, item, share, ledger)
        found.append(token_attributions(item.clean_z, item.corrupted_z, gradient / len(shares)))
    watcher.step(source.value, 1, 1)
    return found


def _gradients(prepared: Prepared, item: BatchActivations, share: float, ledger: Ledger) -> Tensor:
    """``[layer batch pos head d_head]`` at ``share`` of the way from corrupted to clean."""
    if prepared.model.fast:
        return z_gradients(prepared.model.parts, item, prepared.memory.gradient_rows, ledger, share)
    with MatmulCounter() as counter:
        gradients = halved(
            lambda pairs: _hooked_gradients(prepared.model, item.of_pairs(pairs), share), len(item.batch.pairs), dim=1
        )
    ledger.add(counter.flops)
    return gradients


def _hooked_gradients(model: Model, item: BatchActivations, share: float) -> Tensor:
    clean = item.batch.clean.to(model.device)
    if share == 1:
        return hooked_gradients(model, clean, item.readout.of_vocabulary)
    corrupted = recorded_embeddings(model, item.batch.corrupted.to(model.device))
    between = torch.lerp(corrupted, recorded_embeddings(model, clean), share)
    return hooked_gradients(model, clean, item.readout.of_vocabulary, between)


def _check_embeddings(model: Model, items: Sequence[BatchActivations]) -> None:
    """The clean prompts with the corrupted embeddings must be the corrupted prompts, or the way leads elsewhere."""
    for item in items:
        embeddings = recorded_embeddings(model, item.batch.corrupted.to(model.device))
        with torch.no_grad():
            logits = end_logits(model, item.batch.clean.to(model.device), [replacing(EMBEDDING, embeddings)])
        off = float((item.readout.of_vocabulary(logits) - item.corrupted_metric).abs().max())
        if off > TOLERANCES[model.dtype] * max(1.0, float(item.corrupted_metric.abs().max())):
            raise HeadlightError(
                f"Integrated attribution is not available for {model.name}: its embeddings are not all it reads of a "
                f"prompt (putting in the corrupted ones misses the corrupted metric by {off:.2g}). Choose another "
                "head score, such as attribution by position."
            )
