"""The paper's grid of thresholds, and the circuit taken of those it gives (METHOD section 2.8).

1. All 16 pairs of s and the smallest effect are searched side by side: effects are measured once.
2. Each circuit's performance is measured on the prompts it was found on, all other heads ablated.
3. The smallest circuit with performance >= 75 % and size <= H/4 is taken, else the knee.

The circuit taken is reported on fresh prompts like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from engine.heads import Head
from engine.pareto import smallest_good_enough
from engine.search import SearchResult, Thresholds
from engine.settings import Settings

SCALES = (1.0, 1.5, 2.0, 2.5)
MIN_EFFECTS = (0.02, 0.01, 0.002, 0.001)
GRID = tuple(Thresholds(scale, min_effect) for scale, min_effect in product(SCALES, MIN_EFFECTS))


def thresholds_of(settings: Settings) -> tuple[Thresholds, ...]:
    """Every pair of thresholds a run searches with: the grid's, or its own."""
    return GRID if settings.grid else (Thresholds(settings.threshold_scale, settings.min_effect),)


@dataclass(frozen=True)
class GridPoint:
    """One pair of thresholds: its circuit's heads, edges, and performance in percent on the search's prompts."""

    thresholds: Thresholds
    size: int
    edges: int
    performance: float


@dataclass(frozen=True)
class Grid:
    """All points in the order of ``GRID``, which was taken, and why."""

    points: tuple[GridPoint, ...]
    chosen: int
    reason: str


def choose_of_grid(
    results: Sequence[SearchResult], evaluate: Callable[[tuple[Head, ...]], float], total_heads: int
) -> Grid:
    """``evaluate`` gives the performance (percent) of a set of heads; called once for each distinct set."""
    known: dict[tuple[Head, ...], float] = {}
    points = []
    for thresholds, result in zip(GRID, results, strict=True):
        heads = result.circuit.heads
        if heads not in known:
            known[heads] = evaluate(heads)
        points.append(GridPoint(thresholds, len(heads), len(result.circuit.edges), known[heads]))
    best, reason = smallest_good_enough(points, total_heads // 4, "circuit", "a quarter of all heads")
    return Grid(tuple(points), points.index(best), reason)
