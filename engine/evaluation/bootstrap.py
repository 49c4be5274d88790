"""Intervals over prompts: the paired bootstrap (Efron 1979).

1. n pairs are drawn with replacement from the n there are, ``draws`` times, seeded.
2. All vectors of values by pair are read at the same drawn pairs and the statistic is made of them anew, so that what
   two of them share (a pair that is hard for both) cancels in a difference or ratio as it does in the value itself.
3. The middle 95 % of the drawings is the interval.

The pairs stand for all pairs of their templates, not for other templates. One pair cannot be drawn again, and a ratio
that has no value in some drawing has no interval: both bounds are NaN then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DRAWS = 1000
COVERAGE = 0.95
TOGETHER = 10_000  # values drawn at once: a run's verification may not take more than its search

# Vectors ``[... pair]`` -> ``[...]``: reduces the last axis, so that one call serves the whole and all drawings.
Statistic = Callable[..., Tensor]
Vectors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Interval:
    """``value`` is what all ``n`` pairs give; NaN bounds: no interval, NaN value: undefined."""

    value: float
    low: float
    high: float
    n: int
    draws: int

    @property
    def defined(self) -> bool:
        return math.isfinite(self.value)

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def note(self) -> str:
        """Why something is missing; empty if nothing is."""
        if not self.defined:
            return "undefined: it would be a ratio to nothing"
        if self.n < 2:
            return "one pair has no interval"
        if not self.known:
            return "no interval: some drawings of the pairs leave it undefined"
        return ""

    def words(self, form: str = "{:.2f}") -> str:
        """``0.93 (0.88 to 0.97)``, or why a part of it is missing; ``form`` writes one number."""
        if not self.defined:
            return self.note
        within = f"{form.format(self.low)} to {form.format(self.high)}" if self.known else self.note
        return f"{form.format(self.value)} ({within})"


def mean(values: Tensor) -> Tensor:
    """The plainest statistic."""
    return values.mean(dim=-1)


def paired_bootstrap(statistic: Statistic, *vectors: Tensor, seed: int, draws: int = DRAWS) -> Interval:
    """The interval of ``statistic(*vectors)`` over the pairs, which are the last axis of every vector.

    ``vectors`` have at least one axis, ``[pair]``; those before it (sizes of circuits, say) are left alone.
    """
    n = _pairs(vectors)
    values = drawings(statistic, *vectors, seed=seed, draws=draws)
    return interval_of(float(statistic(*(vector.double() for vector in vectors))), values, n)


def independent_difference(
    statistic: Statistic, first: Vectors, second: Vectors, seeds: tuple[int, int], draws: int = DRAWS
) -> Interval:
    """The interval of ``statistic(*first) - statistic(*second)`` where the pairs of the two are not the same ones.

    Each side is drawn by itself, by its own of two different ``seeds``; ``n`` is that of the smaller side.
    """
    if seeds[0] == seeds[1]:
        raise ValueError(f"Expected two different seeds, got {seeds[0]} twice: the sides would be drawn alike")
    ours, theirs = (
        drawings(statistic, *side, seed=seed, draws=draws) for side, seed in zip((first, second), seeds, strict=True)
    )
    whole, other = (float(statistic(*(vector.double() for vector in side))) for side in (first, second))
    return interval_of(whole - other, ours - theirs, min(_pairs(first), _pairs(second)))


def drawings(statistic: Statistic, *vectors: Tensor, seed: int, draws: int = DRAWS) -> Tensor:
    """The statistic of every drawing, ``[draw]``."""
    n = _pairs(vectors)
    picked = torch.randint(n, (draws, n), generator=torch.Generator().manual_seed(seed))
    widest = max(vector.numel() for vector in vectors)
    doubles = [vector.double() for vector in vectors]
    some = picked.split(max(1, TOGETHER // widest))
    return torch.cat([statistic(*(vector[..., part] for vector in doubles)) for part in some])


def interval_of(value: float, values: Tensor, n: int) -> Interval:
    """The middle 95 % of ``values [draw]`` beside ``value``; bounds are NaN for one pair or if any is not finite."""
    value = value if math.isfinite(value) else float("nan")
    if n < 2 or not bool(values.isfinite().all()) or math.isnan(value):
        return Interval(value, float("nan"), float("nan"), n, len(values))
    tail = (1 - COVERAGE) / 2
    low, high = values.double().quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(value, low, high, n, len(values))


def _pairs(vectors: Vectors) -> int:
    """How many pairs the vectors have; raises ValueError unless all have as many, and any."""
    counts = {vector.shape[-1] for vector in vectors}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"Expected vectors of one number of pairs, at least 1, got {[list(v.shape) for v in vectors]}")
    (n,) = counts
    return n
