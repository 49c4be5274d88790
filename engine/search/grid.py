"""The paper's grid of thresholds, and the circuit taken of those it gives (METHOD section 2.8).

1. All 16 pairs of s and the smallest effect are searched side by side: effects are measured once.
   In screened mode by their estimates alone.
2. Each circuit's performance is measured on the prompts it was found on, all other heads ablated.
3. The smallest circuit with performance >= 75 % and size <= H/4 is taken, else the knee.
4. If it rests on estimates, it is searched again, now exactly where that decides, and measured anew;
   until the one taken is exact.

The circuit taken is reported on fresh prompts like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from engine.nodes import Node
from engine.pruning.pareto import smallest_good_enough
from engine.search.path_patching import SearchResult, Thresholds
from engine.settings import Algorithm, Settings

SCALES = (1.0, 1.5, 2.0, 2.5)
MIN_EFFECTS = (0.02, 0.01, 0.002, 0.001)
# Performance (percent) of a set of heads.
Evaluate = Callable[[tuple[Node, ...]], float]
GRID = tuple(Thresholds(scale, min_effect) for scale, min_effect in product(SCALES, MIN_EFFECTS))


def thresholds_of(settings: Settings) -> tuple[Thresholds, ...]:
    """Every pair of thresholds a run searches with: the grid's, or its own; none where it is not by path patching."""
    if settings.algorithm is not Algorithm.PATH_PATCHING:
        return ()
    return GRID if settings.grid else (Thresholds(settings.threshold_scale, settings.min_effect),)


@dataclass(frozen=True)
class GridPoint:
    """One pair of thresholds: its circuit's nodes, edges, and performance in percent on the search's prompts.

    ``estimated``: who is in the circuit was decided by estimates alone; its performance is measured all the same.
    """

    thresholds: Thresholds
    size: int
    edges: int
    performance: float
    estimated: bool


@dataclass(frozen=True)
class Grid:
    """All points in the order of ``GRID``, which was taken, and why."""

    points: tuple[GridPoint, ...]
    chosen: int
    reason: str

    @property
    def taken(self) -> GridPoint:
        return self.points[self.chosen]


def grid_of(results: Sequence[SearchResult], evaluate: Evaluate, total_heads: int, estimated: bool) -> Grid:
    """The grid of all its searches, in the order of ``GRID``."""
    pairs = zip(GRID, results, strict=True)
    return _chosen([_point(thresholds, result, evaluate, estimated) for thresholds, result in pairs], total_heads)


def with_exact(grid: Grid, result: SearchResult, evaluate: Evaluate, total_heads: int) -> Grid:
    """The grid once the point taken has been searched exactly; another may now be the better choice."""
    points = list(grid.points)
    points[grid.chosen] = _point(grid.taken.thresholds, result, evaluate, estimated=False)
    return _chosen(points, total_heads)


def _point(thresholds: Thresholds, result: SearchResult, evaluate: Evaluate, estimated: bool) -> GridPoint:
    nodes = result.circuit.nodes
    return GridPoint(thresholds, len(nodes), len(result.circuit.edges), evaluate(nodes), estimated)


def _chosen(points: Sequence[GridPoint], total_heads: int) -> Grid:
    best, reason = smallest_good_enough(points, total_heads // 4, "circuit", "a quarter of all heads")
    return Grid(tuple(points), points.index(best), reason)
