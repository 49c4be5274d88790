"""Ranks and their correlation, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from engine.scores.ranking import ranks, spearman


def test_the_highest_score_is_first_and_equal_ones_share_their_mean_rank():
    scores = torch.tensor([[0.5, 3.0], [3.0, -1.0]])
    assert ranks(scores).tolist() == [[3.0, 1.5], [1.5, 4.0]]


def test_spearman_by_the_sum_of_squared_rank_differences():
    # Ranks 1 2 3 4 5 against 2 1 4 3 5: 1 - 6 * (1 + 1 + 1 + 1 + 0) / (5 * 24) = .8
    one, other = torch.tensor([9.0, 8.0, 7.0, 6.0, 5.0]), torch.tensor([40.0, 50.0, 20.0, 30.0, -10.0])
    assert spearman(one, other) == pytest.approx(0.8)
    assert spearman(one, one.exp()) == pytest.approx(1) and spearman(one, -one) == pytest.approx(-1)


def test_ties_count_with_their_mean_rank():
    # Ranks 1.5 1.5 3 against 1 2 3: covariance 1.5, variances 1.5 and 2.
    assert spearman(torch.tensor([2.0, 2.0, 1.0]), torch.tensor([3.0, 2.0, 1.0])) == pytest.approx(1.5 / math.sqrt(3))


def test_without_an_order_there_is_no_correlation():
    assert math.isnan(spearman(torch.ones(3), torch.arange(3.0)))
    with pytest.raises(ValueError, match="one shape"):
        spearman(torch.ones(3), torch.ones(2))
