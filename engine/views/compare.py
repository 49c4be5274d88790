"""Where two runs differ: ranks of their heads, matched by their place, and settings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.heads import Head
from engine.record.run_summary import Plain, RunSummary
from engine.scores.ranking import ranks

LAST = float("-inf")


@dataclass(frozen=True)
class RankMove:
    """A head's rank by one score in both runs, 1 for the highest score; equal scores share their mean rank."""

    head: Head
    left: float
    right: float

    @property
    def up(self) -> float:
        """Places gained from left to right."""
        return self.left - self.right


def ranks_of(scores: Tensor) -> Tensor:
    """Ranks [layer head] of scores [layer head]; what a file has no score for is last."""
    return ranks(scores.nan_to_num(nan=LAST))


def rank_moves(left: Tensor, right: Tensor, most: int) -> tuple[RankMove, ...]:
    """The heads among the ``most`` highest of either of two scores [layer head], by their left rank."""
    before, after = ranks_of(left), ranks_of(right)
    places = ((before <= most) | (after <= most)).nonzero().tolist()
    moves = [RankMove(Head(*at), float(before[at[0], at[1]]), float(after[at[0], at[1]])) for at in places]
    return tuple(sorted(moves, key=lambda move: (move.left, move.right)))


def settings_side_by_side(left: RunSummary, right: RunSummary) -> list[tuple[str, Plain, Plain]]:
    """(name, left, right) of every setting either run has, in their order; None where a run lacks it."""
    names = list(dict.fromkeys((*left.settings, *right.settings)))
    return [(name, left.settings.get(name), right.settings.get(name)) for name in names]
