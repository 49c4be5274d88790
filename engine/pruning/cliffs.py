"""Cliff points of a performance-against-sparsity curve (METHOD section 2.5).

With r_0 ... r_m the performance, w = round((hi - lo) / 10) for sparsities from lo to hi in percent
points, and tau = (max r - min r) / 10:

1. first: the smallest i with |r_i - min(r_{i+1} ... r_{i+w})| >= tau; then, if one of the next w
   single steps drops by tau or more, the point just before the first such step.
2. biggest: the i with the largest windowed drop r_i - min(r_{i+1} ... r_{i+w}), moved to just before
   the drop: to the last point before the windowed drop has shrunk by tau or more within the next w.
3. fixed: sparsity .75. A curve that never falls has no cliff, and the other two fall back to it.

Windows are cut at the end of the curve: on some models it falls nowhere else, and the published
code stops a whole window earlier. Its further step "if r_i exceeds every later value, move to the
largest of r_i ... r_{i+w}" can only ever move to i itself and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

FIXED_SPARSITY = 0.75


class CliffKind(StrEnum):
    FIRST = "first"
    BIGGEST = "biggest"
    FIXED = "fixed"


@dataclass(frozen=True)
class Cliff:
    """One point of the curve: its position, its sparsity (0 to 1) and, in words, why it was taken."""

    kind: CliffKind
    index: int
    sparsity: float
    reason: str


@dataclass(frozen=True)
class Cliffs:
    first: Cliff
    biggest: Cliff
    fixed: Cliff

    def all(self) -> tuple[Cliff, Cliff, Cliff]:
        return self.first, self.biggest, self.fixed


def find_cliffs(sparsities: Sequence[float], performance: Sequence[float]) -> Cliffs:
    """The three cliff points of ``performance`` (percent) over ascending ``sparsities`` (0 to 1)."""
    if len(sparsities) != len(performance) or not sparsities:
        raise ValueError(f"Expected one performance a sparsity, got {len(performance)} for {len(sparsities)}.")
    window = max(1, round((sparsities[-1] - sparsities[0]) * 100 / 10))
    fall = (max(performance) - min(performance)) / 10
    return Cliffs(
        first=_cliff(CliffKind.FIRST, _first_index(performance, window, fall), sparsities, performance, fall),
        biggest=_cliff(CliffKind.BIGGEST, _biggest_index(performance, window, fall), sparsities, performance, fall),
        fixed=_fixed(CliffKind.FIXED, sparsities, "a fixed sparsity of 75 %, wherever the curve falls"),
    )


def _first_index(curve: Sequence[float], window: int, fall: float) -> int | None:
    if fall == 0:  # a constant curve meets "a change of at least 0" everywhere
        return None
    changes = (i for i in range(len(curve) - 1) if abs(_windowed_drop(curve, i, window)) >= fall)
    start = next(changes, None)
    if start is None:
        return None
    steps = range(start, min(start + window, len(curve) - 1))
    return next((i for i in steps if curve[i] - curve[i + 1] >= fall), start)


def _biggest_index(curve: Sequence[float], window: int, fall: float) -> int | None:
    drops = [_windowed_drop(curve, i, window) for i in range(len(curve) - 1)]
    largest = max(drops, default=0.0)
    if largest <= 0:
        return None
    start = drops.index(largest)
    drops.append(0.0)  # nothing is left to fall after the last point
    ahead = range(start + 1, min(start + window + 1, len(curve)))
    return next((i - 1 for i in ahead if largest - drops[i] >= fall), start)


def _windowed_drop(curve: Sequence[float], index: int, window: int) -> float:
    """How far the curve falls within ``window`` steps after ``index``; negative if it only rises."""
    return curve[index] - min(curve[index + 1 : index + 1 + window])


def _cliff(
    kind: CliffKind, index: int | None, sparsities: Sequence[float], performance: Sequence[float], fall: float
) -> Cliff:
    if index is None:
        return _fixed(kind, sparsities, "the curve never falls, so sparsity 75 % is taken")
    what = {
        CliffKind.FIRST: f"the first change of at least {fall:.1f} points (a tenth of the curve's range)",
        CliffKind.BIGGEST: "the largest fall of the curve",
    }[kind]
    return Cliff(kind, index, sparsities[index], f"the last point before {what}, at {performance[index]:.0f} %")


def _fixed(kind: CliffKind, sparsities: Sequence[float], reason: str) -> Cliff:
    index = min(range(len(sparsities)), key=lambda i: abs(sparsities[i] - FIXED_SPARSITY))
    return Cliff(kind, index, sparsities[index], reason)
