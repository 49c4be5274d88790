"""The smallest good enough of several head sets, or the knee of their Pareto front (METHOD 2.6 and 2.8).

1. Take the smallest with performance >= 75 % that is small enough; of equals, the better one.
2. Else the knee of the Pareto front (no other is both as small and better): the point farthest above
   the chord from the front's smallest to its largest. Scaling the axes does not change which point
   that is. A front with no point above its chord (one or two points, or a hollow curve) has no knee:
   then its best that is small enough, else its smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

ENOUGH_PERFORMANCE = 75.0  # percent, the paper's bar for a circuit that does the task


class HeadSet(Protocol):
    """A number of heads, and the performance in percent with only those live."""

    @property
    def size(self) -> int: ...
    @property
    def performance(self) -> float: ...


T = TypeVar("T", bound=HeadSet)


def smallest_good_enough(candidates: Sequence[T], largest: int, noun: str, bound: str) -> tuple[T, str]:
    """The one taken, and why, in words. ``noun`` names a candidate, ``bound`` what ``largest`` heads are."""
    enough = [item for item in candidates if good_enough(item, largest)]
    if enough:
        best = min(enough, key=lambda item: (item.size, -item.performance))
        return best, f"the smallest {noun} that keeps 75 % of the performance with at most {bound}"
    front = pareto_front(candidates)
    why = f"no {noun} keeps 75 % of the performance with at most {bound}"
    point = knee(front)
    if point is not None:
        return point, f"{why}, so the knee of the size-performance front is taken"
    small = [item for item in front if item.size <= largest]
    if small:
        return small[-1], f"{why} and the front has no knee, so its best of at most {bound} is taken"
    return front[0], f"{why} and the front has no knee, so its smallest is taken"


def good_enough(item: HeadSet, largest: int) -> bool:
    """Step 1's rule."""
    return item.performance >= ENOUGH_PERFORMANCE and item.size <= largest


def performance_of(item: HeadSet) -> float:
    """What sets are compared by unless something else is asked for."""
    return item.performance


def pareto_front(candidates: Sequence[T], quality: Callable[[T], float] = performance_of) -> tuple[T, ...]:
    """Those that no other beats, smallest first: each larger one has a strictly better ``quality``."""
    front: list[T] = []
    for item in sorted(candidates, key=lambda item: (item.size, -quality(item))):
        if not front or quality(item) > quality(front[-1]):
            front.append(item)
    return tuple(front)


def knee(front: Sequence[T], quality: Callable[[T], float] = performance_of) -> T | None:
    """The point of a Pareto front farthest above the chord of its ends, or None if none lies above it."""
    heights = [_above_chord(item, front[0], front[-1], quality) for item in front]
    highest = max(heights)
    return front[heights.index(highest)] if highest > 1e-9 else None


def _above_chord(item: T, first: T, last: T, quality: Callable[[T], float]) -> float:
    """Height in units of ``quality``; parallel to the distance from the chord, so it ranks alike."""
    if last.size == first.size:
        return 0.0
    slope = (quality(last) - quality(first)) / (last.size - first.size)
    return quality(item) - quality(first) - slope * (item.size - first.size)
