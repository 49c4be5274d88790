"""Unions of FLAP and Contrastive-FLAP keep masks, and the one to search in (METHOD section 2.6).

1. {first, biggest, fixed} cliff of FLAP x the same of Contrastive-FLAP: nine unions, each with its
   size and its performance by mean ablation of all other heads.
2. Take the smallest union with performance >= 75 % and size <= H/2; of equals, the better one.
3. Else the knee of the Pareto front (no other union is both as small and better): the point farthest
   above the chord from the front's smallest to its largest union. Scaling the axes does not
   change which point that is. A front with no point above its chord (one or two points, or a hollow
   curve) has no knee: then its best union of at most H/2 heads, else its smallest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from engine.cliffs import Cliff, Cliffs
from engine.errors import HeadlightError
from engine.pruning import keep_mask

ENOUGH_PERFORMANCE = 75.0  # percent, the paper's bar for a circuit that does the task
LARGEST_SHARE = 0.5  # of all heads: a larger search space saves little


@dataclass(frozen=True, eq=False)
class Merge:
    """The union of two keep masks [layer head]; ``performance`` in percent."""

    flap_cliff: Cliff
    contrastive_cliff: Cliff
    mask: Tensor
    size: int
    performance: float


@dataclass(frozen=True, eq=False)
class Choice:
    """The union taken, and why, in words."""

    merge: Merge
    reason: str


def nine_merges(
    flap: Tensor,
    contrastive_flap: Tensor,
    flap_cliffs: Cliffs,
    contrastive_cliffs: Cliffs,
    evaluate: Callable[[Tensor], float],
) -> tuple[Merge, ...]:
    """All nine unions for scores [layer head]; unions that coincide are all listed.

    ``evaluate`` gives the performance (percent) of a keep mask; it is slow, so it is called once for
    each distinct mask.
    """
    known: dict[tuple[bool, ...], float] = {}
    merges = []
    for flap_cliff, contrastive_cliff in product(flap_cliffs.all(), contrastive_cliffs.all()):
        mask = keep_mask(flap, flap_cliff.sparsity) | keep_mask(contrastive_flap, contrastive_cliff.sparsity)
        key = tuple(mask.flatten().tolist())
        if key not in known:
            known[key] = evaluate(mask)
        merges.append(Merge(flap_cliff, contrastive_cliff, mask, int(mask.sum()), known[key]))
    return tuple(merges)


def choose(merges: Sequence[Merge], total_heads: int) -> Choice:
    """The union to search in, of a model with ``total_heads`` heads; raises HeadlightError if none was measured."""
    measured = [merge for merge in merges if math.isfinite(merge.performance)]
    if not measured:
        raise HeadlightError(
            "None of the nine unions has a finite performance: the model's logit difference on the clean prompts is "
            "zero or not a number. Choose a task the model can do, or set a sparsity yourself."
        )
    largest = LARGEST_SHARE * total_heads
    enough = [merge for merge in measured if merge.performance >= ENOUGH_PERFORMANCE and merge.size <= largest]
    if enough:
        best = min(enough, key=lambda merge: (merge.size, -merge.performance))
        return Choice(best, "the smallest union that keeps 75 % of the performance with at most half of all heads")
    return _knee_choice(pareto_front(measured), largest)


def pareto_front(merges: Sequence[Merge]) -> tuple[Merge, ...]:
    """The unions that no other beats, smallest first: each larger one performs strictly better."""
    front: list[Merge] = []
    for merge in sorted(merges, key=lambda merge: (merge.size, -merge.performance)):
        if not front or merge.performance > front[-1].performance:
            front.append(merge)
    return tuple(front)


def knee(front: Sequence[Merge]) -> Merge | None:
    """The point of a Pareto front farthest above the chord of its ends, or None if none lies above it."""
    heights = [_above_chord(merge, front[0], front[-1]) for merge in front]
    highest = max(heights)
    return front[heights.index(highest)] if highest > 1e-9 else None


def _above_chord(merge: Merge, first: Merge, last: Merge) -> float:
    """Height in percent points; parallel to the distance from the chord, so it ranks alike."""
    if last.size == first.size:
        return 0.0
    slope = (last.performance - first.performance) / (last.size - first.size)
    return merge.performance - first.performance - slope * (merge.size - first.size)


def _knee_choice(front: Sequence[Merge], largest: float) -> Choice:
    why = "no union keeps 75 % of the performance with at most half of all heads"
    point = knee(front)
    if point is not None:
        return Choice(point, f"{why}, so the knee of the size-performance front is taken")
    small = [merge for merge in front if merge.size <= largest]
    if small:
        return Choice(small[-1], f"{why} and the front has no knee, so its best of at most half of all heads is taken")
    return Choice(front[0], f"{why} and the front has no knee, so its smallest is taken")
