"""What two runs share and where they differ. Heads are matched by their place, so both need the same shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

from engine.heads import Head
from engine.run_summary import Plain, RunSummary

T = TypeVar("T")


@dataclass(frozen=True)
class Overlap(Generic[T]):
    """Two sets, each in its own order: what is in both, and what in one only."""

    both: tuple[T, ...]
    left_only: tuple[T, ...]
    right_only: tuple[T, ...]

    @property
    def of_left(self) -> float:
        """Share of the left set that is in the right one: its precision if the right one is the truth."""
        return _share(len(self.both), len(self.both) + len(self.left_only))

    @property
    def of_right(self) -> float:
        """Share of the right set that is in the left one: the left one's recall if the right one is the truth."""
        return _share(len(self.both), len(self.both) + len(self.right_only))

    @property
    def jaccard(self) -> float:
        """Shared / all that is in either."""
        return _share(len(self.both), len(self.both) + len(self.left_only) + len(self.right_only))


@dataclass(frozen=True)
class RankMove:
    """A head's rank by one score in both runs, 1 for the highest score."""

    head: Head
    left: int
    right: int

    @property
    def up(self) -> int:
        """Places gained from left to right."""
        return self.left - self.right


def overlap(left: Iterable[T], right: Iterable[T]) -> Overlap[T]:
    left, right = tuple(dict.fromkeys(left)), tuple(dict.fromkeys(right))
    in_left, in_right = set(left), set(right)
    return Overlap(
        tuple(item for item in left if item in in_right),
        tuple(item for item in left if item not in in_right),
        tuple(item for item in right if item not in in_left),
    )


def ranks(scores: Tensor) -> Tensor:
    """1 for the highest of ``scores [layer head]``; equal scores share the better rank, NaN comes last."""
    values = scores.nan_to_num(nan=float("-inf")).flatten()
    return ((values[None, :] > values[:, None]).sum(dim=1) + 1).reshape(scores.shape)


def rank_moves(left: Tensor, right: Tensor, most: int) -> tuple[RankMove, ...]:
    """The heads among the ``most`` highest of either of two scores [layer head], by their left rank."""
    before, after = ranks(left), ranks(right)
    places = ((before <= most) | (after <= most)).nonzero().tolist()
    moves = [RankMove(Head(*at), int(before[at[0], at[1]]), int(after[at[0], at[1]])) for at in places]
    return tuple(sorted(moves, key=lambda move: (move.left, move.right)))


def settings_side_by_side(left: RunSummary, right: RunSummary) -> list[tuple[str, Plain, Plain]]:
    """(name, left, right) of every setting either run has, in their order; None where a run lacks it."""
    names = list(dict.fromkeys((*left.settings, *right.settings)))
    return [(name, left.settings.get(name), right.settings.get(name)) for name in names]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
