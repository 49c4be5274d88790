"""Minimality: what each head, or each edge, of a circuit adds to it.

1. F(C) - F(C without it), F the faithfulness: the share of what corruption takes away that goes with it. The same pairs
   stand on both sides, so the interval is that of the paired difference.
2. It contributes if the interval lies above the noise, and works against the answer if it lies below minus the noise
   (negative name movers do); anything in between is not above noise: the circuit would be as true without it.
   The noise is NOISE in faithfulness, the smallest effect that the grid of METHOD section 2.8 lets count.
3. Where clean and corrupted are the same there are no shares, and one pair has no interval: then nothing is judged,
   and the differences of the metric stand alone.

Members go from the last layer down: each mask then agrees with the one before it below the layer of its own head, and
an Ablator resumes there; engine/edges/run.py takes edges out. Members that stand in for each other can each look
needless alone: knocked out together they may not be (completeness).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from torch import Tensor

from engine.circuit import Edge
from engine.evaluation.bootstrap import Interval
from engine.evaluation.faithfulness import faithfulness_of
from engine.evaluation.scale import Scale
from engine.heads import Head, heads_of

NOISE = 0.001

Member = TypeVar("Member", Head, Edge)
MaskMetric = Callable[[Tensor], Tensor]  # keep mask [layer head] -> metric [pair]
Tick = Callable[[int, int], None]  # done, total; may raise Cancelled


class Standing(StrEnum):
    """What a member's interval says."""

    CONTRIBUTES = "contributes"
    NOISE = "not above noise"
    AGAINST = "works against the answer"
    UNKNOWN = "cannot be judged"


@dataclass(frozen=True)
class Contribution(Generic[Member]):
    """``share``: of faithfulness; ``change``: the same difference in units of the metric."""

    member: Member
    share: Interval
    change: Interval
    standing: Standing


@dataclass(frozen=True)
class Minimality(Generic[Member]):
    """Every member, the largest contribution first; ``note`` where shares are undefined."""

    contributions: tuple[Contribution[Member], ...]
    noise: float
    note: str

    def standing(self, wanted: Standing) -> tuple[Member, ...]:
        """The members of one standing, in the order of their contributions."""
        return tuple(each.member for each in self.contributions if each.standing is wanted)

    @property
    def not_contributing(self) -> tuple[Member, ...]:
        """Those the circuit would be as true without."""
        return self.standing(Standing.NOISE)


def head_minimality(
    metric: MaskMetric, keep: Tensor, scale: Scale, tick: Tick = lambda done, total: None
) -> Minimality[Head]:
    """Every head of ``keep [layer head]``."""
    whole, heads, values = metric(keep), tuple(reversed(heads_of(keep))), {}
    for done, head in enumerate(heads, start=1):
        without = keep.clone()
        without[head.layer, head.index] = False
        values[head] = whole - metric(without)
        tick(done, len(heads))
    return minimality(values, scale)


def minimality(changes: Mapping[Member, Tensor], scale: Scale) -> Minimality[Member]:
    """Of each member's change of the metric ``[pair]``: the whole circuit's minus that without it."""
    found = [_contribution(member, change, scale) for member, change in changes.items()]
    sign = -1 if scale.unit < 0 else 1  # of a metric that corruption raises, a share is the negative of its change
    found.sort(key=lambda each: sign * each.change.value, reverse=True)
    return Minimality(tuple(found), NOISE, scale.note)


def share_of(change: Tensor, clean: Tensor, corrupted: Tensor) -> Tensor:
    """F(C) - F(C without it) ``[...]`` of a change of the metric ``[... pair]``."""
    return faithfulness_of(change + corrupted, clean, corrupted)


def judge(share: Interval, noise: float = NOISE) -> Standing:
    """By the interval alone: a value on one side of the noise is not enough."""
    if not share.known:
        return Standing.UNKNOWN
    if share.low > noise:
        return Standing.CONTRIBUTES
    return Standing.AGAINST if share.high < -noise else Standing.NOISE


def _contribution(member: Member, change: Tensor, scale: Scale) -> Contribution[Member]:
    share = scale.interval(share_of, change, scale.clean, scale.corrupted)
    return Contribution(member, share, scale.mean(change), judge(share))
