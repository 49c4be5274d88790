"""What two circuits and two rankings share, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from engine.circuit import Circuit, Edge, Input, edges_by_name
from engine.compare import RankMove, overlap, rank_moves, ranks
from engine.heads import Head

A, B, C, D = Head(0, 0), Head(0, 1), Head(1, 0), Head(1, 1)


def test_what_is_shared_and_what_is_not():
    parts = overlap((A, B, C), (C, D, A, A))
    assert (parts.both, parts.left_only, parts.right_only) == ((A, C), (B,), (D,))
    assert parts.of_left == pytest.approx(2 / 3) and parts.of_right == pytest.approx(2 / 3)
    assert parts.jaccard == 0.5
    small = overlap((A,), (A, B, C, D))
    assert (small.of_left, small.of_right, small.jaccard) == (1.0, 0.25, 0.25)


def test_nothing_shared_is_none_and_nothing_at_all_has_no_share():
    apart = overlap((A,), (B,))
    assert (apart.of_left, apart.of_right, apart.jaccard) == (0.0, 0.0, 0.0)
    assert math.isnan(overlap((), ()).jaccard) and math.isnan(overlap((), (A,)).of_left)


def test_an_edge_is_the_same_whatever_its_effect():
    left = Circuit((A, C), (Edge(A, C, Input.Q, -0.5), Edge(C, None, Input.LOGITS, -1.0)), 2, 2)
    right = Circuit((A, C), (Edge(A, C, Input.K, -0.5), Edge(C, None, Input.LOGITS, 0.3)), 2, 2)
    parts = overlap(edges_by_name(left), edges_by_name(right))
    assert parts.both == ((C, None, Input.LOGITS),)
    assert parts.left_only == ((A, C, Input.Q),) and parts.right_only == ((A, C, Input.K),)


def test_ranks_share_the_better_place_and_what_has_no_score_is_last():
    scores = torch.tensor([[0.5, 2.0], [0.5, float("nan")]])
    assert ranks(scores).tolist() == [[2, 1], [2, 4]]


def test_rank_moves_of_the_highest_of_either_side():
    left = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    right = torch.tensor([[1.0, 3.0], [2.0, 4.0]])
    assert rank_moves(left, right, 1) == (RankMove(A, 1, 4), RankMove(D, 4, 1))
    assert [move.up for move in rank_moves(left, right, 4)] == [-3, 0, 0, 3]
