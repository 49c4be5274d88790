"""What a circuit claims of a head or an edge, and what a measurement says to it: pure.

1. Claim. Of an edge: its effect. Of a head: the sum of its edges' effects, an edge that a group of query heads shares
   counted once. What is not in the circuit is claimed not to matter. The sign is left open where there are no
   effects, or opposite ones leave less than ``CLEAR_SIGN`` of their sizes.
2. Verdict. Clear means that the interval does not reach 0; larger, that the difference's does not either, from above
   (or that the layer has no second head).

   * claimed to matter: CONTRADICTS if clear and of the other sign; else CONFIRMED if clear and larger; else
     INSIDE_NOISE
   * claimed not to: CONFIRMED if the whole interval lies within the smallest effect that counts, on both sides of 0;
     else CONTRADICTS if clear and larger; else INSIDE_NOISE
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

from engine.circuit import Circuit, Input
from engine.evaluation.bootstrap import Interval
from engine.heads import Head
from engine.patching.receiver import LOGITS, Receiver
from engine.trust.overlap import EdgeName, name_of

CLEAR_SIGN = 0.5

Target = Head | EdgeName


class Verdict(StrEnum):
    """What the measurement says to the claim; see the module's point 2."""

    CONFIRMED = "confirmed"
    INSIDE_NOISE = "inside noise"
    CONTRADICTS = "contradicts the score"


@dataclass(frozen=True)
class Claim:
    """What the circuit says: whether it matters, the effect it gives (NaN if none), its sign (0: open)."""

    matters: bool
    effect: float
    sign: int


def target_name(target: Target) -> str:
    """``9.6``, or ``9.6 → 10.0.q``."""
    if isinstance(target, Head):
        return str(target)
    return f"{target[0]} → {receiver_of(target)}"


def receiver_of(edge: EdgeName) -> Receiver:
    """Where an edge ends."""
    return LOGITS if edge[1] is None else Receiver(Input(edge[2]), edge[1])


def claim_of(circuit: Circuit, target: Target, group: int) -> Claim:
    """What ``circuit`` says about a head or an edge; ``group`` query heads share one KV head."""
    if isinstance(target, Head):
        matters, effects = target in circuit.heads, _distinct_effects(circuit, target, group)
    else:
        effects = [edge.effect for edge in circuit.edges if name_of(edge) == target]
        matters = bool(effects)
    total, sizes = math.fsum(effects), math.fsum(map(abs, effects))
    clear = sizes > 0 and abs(total) >= CLEAR_SIGN * sizes
    return Claim(matters, total if effects else math.nan, int(math.copysign(1, total)) if clear else 0)


def verdict_of(claim: Claim, effect: Interval, difference: Interval | None, smallest: float) -> Verdict:
    """By the module's point 2; ``smallest``: the smallest effect that counts."""
    clear = effect.known and (effect.low > 0 or effect.high < 0)
    larger = difference is None or (difference.known and difference.low > 0)
    if claim.matters:
        if clear and effect.value * claim.sign < 0:
            return Verdict.CONTRADICTS
        return Verdict.CONFIRMED if clear and larger else Verdict.INSIDE_NOISE
    if effect.known and max(-effect.low, effect.high) <= smallest:
        return Verdict.CONFIRMED
    return Verdict.CONTRADICTS if clear and larger else Verdict.INSIDE_NOISE


def control_of(norms: Tensor, target: Target, circuit: Circuit) -> Head | None:
    """The head to compare with, by ``norms [head]`` of the layer of the head or sender; None if there is no other."""
    own = target if isinstance(target, Head) else target[0]
    others = [Head(own.layer, index) for index in range(len(norms)) if index != own.index]
    outside = [head for head in others if head not in circuit.heads]
    if not isinstance(target, Head):
        senders = {edge.sender for edge in circuit.edges if name_of(edge)[1:] == target[1:]}
        outside = outside or [head for head in others if head not in senders]
    distance = (norms - norms[own.index]).abs()
    return min(outside or others, key=lambda head: float(distance[head.index]), default=None)


def _distinct_effects(circuit: Circuit, head: Head, group: int) -> list[float]:
    """Of the edges ``head`` sends; those listed for several query heads of one KV head once."""
    found: dict[tuple, float] = {}
    for edge in circuit.edges:
        if edge.sender == head:
            at = edge.receiver
            shared = at is not None and edge.input in (Input.K, Input.V)
            place = (at.layer, at.index // group) if at is not None and shared else at
            found[place, edge.input] = edge.effect
    return list(found.values())
