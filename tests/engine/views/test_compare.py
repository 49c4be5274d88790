"""How ranks move from one run to another, by hand."""

from __future__ import annotations

import torch

from engine.heads import Head
from engine.views.compare import RankMove, rank_moves, ranks_of

A, D = Head(0, 0), Head(1, 1)


def test_equal_scores_share_their_mean_rank_and_what_has_none_is_last():
    scores = torch.tensor([[0.5, 2.0], [0.5, float("nan")]])
    assert ranks_of(scores).tolist() == [[2.5, 1], [2.5, 4]]


def test_rank_moves_of_the_highest_of_either_side():
    left = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    right = torch.tensor([[1.0, 3.0], [2.0, 4.0]])
    assert rank_moves(left, right, 1) == (RankMove(A, 1, 4), RankMove(D, 4, 1))
    assert [move.up for move in rank_moves(left, right, 4)] == [-3, 0, 0, 3]
