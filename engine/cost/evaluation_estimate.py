"""What an evaluation will take, before it runs.

The masks of engine/evaluation/evaluate.py are known beforehand, and so is which layers each must redo after the one
before it (engine/ablation.py). Fresh prompts are counted as if they were as long as those at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from engine.ablation import Ablation, masked_flops
from engine.circuit import Circuit
from engine.cost.ledger import pass_flops, unembed_flops
from engine.evaluation.by_size import ranking_of, sizes_of
from engine.evaluation.plan import Plan
from engine.evaluation.random_circuits import Draw, has_others, random_masks
from engine.heads import heads_of, mask_of
from engine.prepare import Prepared

EFFICIENCY = 0.6  # of the machine's matmul rate, as in the sparsity sweep


def evaluation_seconds(prepared: Prepared, circuit: Circuit, seed: int, plan: Plan) -> float:
    """``evaluate`` of the circuit, at this machine's speed."""
    return seconds_of(prepared, evaluation_flops(prepared, circuit, seed, plan))


def seconds_of(prepared: Prepared, flops: float) -> float:
    """At the speed that ablations reach on this machine."""
    return flops / (prepared.flops_per_second * (EFFICIENCY if prepared.model.fast else 1.0))


def evaluation_flops(prepared: Prepared, circuit: Circuit, seed: int, plan: Plan) -> float:
    """What ``evaluate`` will book."""
    fresh = not prepared.custom and seed != prepared.settings.seed
    keep = mask_of(circuit.heads, circuit.n_layers, circuit.n_heads)
    # Of their own: the other kinds of ablation, and the prompts it was found on.
    alone = _in_a_row(prepared, [keep]) * (len(Ablation) - 1 + fresh)
    capture = 2 * pass_flops(prepared.model, prepared.prompts) if fresh else 0.0
    masks = _masks(prepared, circuit, seed if fresh else prepared.settings.seed, plan)
    return capture + alone + _in_a_row(prepared, masks) + _predictions(prepared)


def _masks(prepared: Prepared, circuit: Circuit, seed: int, plan: Plan) -> Iterator[Tensor]:
    """All that the Ablator of the plan's kind evaluates, in their order."""
    keep = mask_of(circuit.heads, circuit.n_layers, circuit.n_heads)
    yield from (keep, torch.ones_like(keep), keep, keep)
    for head in reversed(heads_of(keep)):
        without = keep.clone()
        without[head.layer, head.index] = False
        yield without
    yield from (torch.zeros_like(keep), ~keep)
    ranking = ranking_of(circuit, prepared.scores.contrastive_flap)
    for size in sizes_of(len(ranking)):
        yield mask_of(ranking[:size], *keep.shape)
    for draw in Draw if plan.random_circuits else ():
        if has_others(keep, draw):
            yield from random_masks(keep, draw, plan.random_circuits, seed)


def _in_a_row(prepared: Prepared, masks: Iterable[Tensor]) -> float:
    total, last = 0.0, None
    for mask in masks:
        total += masked_flops(prepared.model, prepared.activations, mask, last)
        last = mask
    return total


def _predictions(prepared: Prepared) -> float:
    """All logits of the model and of the circuit, where a metric reads a few."""
    if not prepared.model.fast:
        return 0.0
    parts, items = prepared.model.parts, prepared.activations.batches
    return sum(2 * unembed_flops(parts, item.batch.clean.shape[0], prepared.model.vocab_size) for item in items)
