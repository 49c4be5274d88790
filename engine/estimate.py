"""What a search will cost, before it runs: FLOPs by formula, seconds by this machine's own speed.

1. Logits: every sender carried to the top at one position.
2. Sender sweep: every sender carried up, at all positions that can change, to the highest receiver.
3. A receiver at layer r: its senders, the attention of one head, the live model from r upwards.

A model whose parts are not known takes a hooked forward for the logits, and two for each letter of a
receiver, for every sender.

How many receivers a search visits depends on what it finds. ``likely`` assumes a third of the
candidates, but no more than an eighth of all heads; ``most`` assumes every candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.activations import Activations
from engine.circuit import Input
from engine.cost import attention_flops, head_flops, mlp_flops, output_flops, pass_flops
from engine.heads import Head, heads_of
from engine.models.model import Model
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_passes
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
    model = prepared.model
    passes = _reference_passes(model, senders, receivers)
    one_pass = pass_flops(model, prepared.prompts)
    flops = _fast_flops(prepared, senders, receivers) if model.fast else passes * one_pass
    calibration = prepared.cost[0]
    speed = calibration.flops / max(calibration.seconds, 1e-9)
    return SearchCost(flops, flops / one_pass, round(passes), flops / speed)


def _letters(model: Model) -> float:
    """Receivers a head stands for: q for each head, k and v once a group."""
    return 1 + 2 / model.group


def _reference_passes(model: Model, senders: Sequence[Head], receivers: dict[Head, float]) -> float:
    """Hooked forwards of all pairs: the logits and each receiver's letters, recordings included."""
    passes = float(reference_passes(LOGITS, len(senders)))
    for head, chance in receivers.items():
        below = sum(sender.layer < head.layer for sender in senders)
        passes += chance * _letters(model) * reference_passes(Receiver(Input.Q, head), below)
    return passes


def _fast_flops(prepared: Prepared, senders: Sequence[Head], receivers: dict[Head, float]) -> float:
    model, activations = prepared.model, prepared.activations
    flops = _sweep_flops(model, activations, senders, max((head.layer for head in receivers), default=0))
    for head, chance in receivers.items():
        below = sum(sender.layer < head.layer for sender in senders)
        flops += chance * _letters(model) * _receiver_flops(model, activations, head.layer, below)
    return flops


def _sweep_flops(model: Model, activations: Activations, senders: Sequence[Head], top: int) -> float:
    """Logits stage through every layer and shared sweep up to layer ``top``.

    Each sender's change is written by its head once, then MLPs run for those that entered.
    """
    total = 0.0
    for index, layer in enumerate(model.parts.layers):
        entered = sum(sender.layer <= index for sender in senders)
        entering = sum(sender.layer == index for sender in senders)
        for item in activations.batches:
            pairs, length = item.batch.clean.shape
            carried = 1 + (length - item.first if index < top else 0)
            total += mlp_flops(layer, entered * pairs * carried) + output_flops(layer, entering * pairs * carried, 1)
    return total


def _receiver_flops(model: Model, activations: Activations, layer_index: int, senders: int) -> float:
    """One letter of one receiver for ``senders``: see engine/patching/receivers.py."""
    layers, total = model.parts.layers, 0.0
    for item in activations.batches:
        pairs, length = item.batch.clean.shape
        rows = senders * pairs * (length - item.first)
        total += head_flops(layers[layer_index], rows, length, 1) + output_flops(layers[layer_index], rows, 1)
        total += 2 * rows * model.d_model * model.d_head  # the receiver's own q, k or v
        for index in range(layer_index, len(layers)):
            live = rows if index < len(layers) - 1 else senders * pairs
            total += mlp_flops(layers[index], live)
            if index > layer_index:
                total += attention_flops(layers[index], live, rows, length)
    return total
