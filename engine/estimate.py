"""What a search will cost, before it runs: FLOPs by formula, seconds by this machine's own speed.

1. Logits: every sender carried to the top at one position.
2. Sender sweep: every sender carried up, at all positions that can change, to the highest receiver.
3. A receiver at layer r: its senders, the attention of one head, the live model from r upwards.

How many receivers a search visits depends on what it finds. ``likely`` assumes a third of the
candidates, but no more than an eighth of all heads; ``most`` assumes every candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.activations import Activations
from engine.cost import attention_flops, forward_flops, head_flops, mlp_flops
from engine.heads import Head, heads_of
from engine.models.model import Model
from engine.prepare import Prepared

LIKELY_SHARE = 1 / 3
LIKELY_MOST = 1 / 8


@dataclass(frozen=True)
class SearchCost:
    """``forward_passes`` as in the ledger; ``reference_passes``: hooked forwards the plain way would take."""

    flops: float
    forward_passes: float
    reference_passes: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """A search inside one mask: what it will probably take, and the most it can."""

    likely: SearchCost
    most: SearchCost
    senders: int


def estimate_search(prepared: Prepared, keep: Tensor) -> Estimate:
    """Cost of path patching inside ``keep [layer head]``, at the speed the calibration ran."""
    senders = heads_of(keep)
    share = min(LIKELY_SHARE, LIKELY_MOST * keep.numel() / max(1, len(senders)))
    likely = _cost(prepared, senders, dict.fromkeys(senders, share))
    most = _cost(prepared, senders, dict.fromkeys(senders, 1.0))
    return Estimate(likely, most, len(senders))


def dense_cost(prepared: Prepared, receivers: Sequence[Head]) -> SearchCost:
    """What dense path patching would take if it visited the same ``receivers`` with all heads as senders."""
    everyone = heads_of(torch.ones_like(prepared.scores.flap, dtype=torch.bool))
    return _cost(prepared, everyone, dict.fromkeys(receivers, 1.0))


def _cost(prepared: Prepared, senders: Sequence[Head], receivers: dict[Head, float]) -> SearchCost:
    """``receivers``: how likely each is visited."""
    model, activations = prepared.model, prepared.activations
    flops = _sweep_flops(model, activations, senders, max((head.layer for head in receivers), default=0))
    passes = float(len(senders))
    for head, chance in receivers.items():
        below = sum(sender.layer < head.layer for sender in senders)
        letters = 1 + 2 / model.group  # q for each head, k and v once a group
        flops += chance * letters * _receiver_flops(model, activations, head.layer, below)
        passes += chance * letters * 2 * below
    calibration = prepared.cost[0]
    speed = calibration.flops / max(calibration.seconds, 1e-9)
    return SearchCost(flops, flops / forward_flops(model.parts, prepared.prompts), round(passes), flops / speed)


def _sweep_flops(model: Model, activations: Activations, senders: Sequence[Head], top: int) -> float:
    """Logits stage through every layer and shared sweep up to layer ``top``: MLPs for the senders that entered."""
    total = 0.0
    for index, layer in enumerate(model.parts.layers):
        own = sum(sender.layer == index for sender in senders)
        # A parallel block's MLP does not see what its own senders wrote, so they share one.
        entered = sum(sender.layer < index for sender in senders) + (min(own, 1) if layer.parallel else own)
        for item in activations.batches:
            pairs, length = item.batch.clean.shape
            carried = 1 + (length - item.first if index < top else 0)
            total += mlp_flops(layer, entered * pairs * carried)
    return total


def _receiver_flops(model: Model, activations: Activations, layer_index: int, senders: int) -> float:
    """One letter of one receiver for ``senders``: see engine/patching/receivers.py."""
    layers, total = model.parts.layers, 0.0
    for item in activations.batches:
        pairs, length = item.batch.clean.shape
        rows = senders * pairs * (length - item.first)
        total += head_flops(layers[layer_index], rows, length, 1) + 2 * rows * model.d_model * model.d_head
        for index in range(layer_index, len(layers)):
            live = rows if index < len(layers) - 1 else senders * pairs
            shared = layers[index].parallel and index == layer_index
            total += mlp_flops(layers[index], live / max(1, senders) if shared else live)
            if index > layer_index:
                total += attention_flops(layers[index], live, rows, length)
    return total
