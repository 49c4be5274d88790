"""Keep masks: the published counts, ties, the ends of the range (METHOD section 2.3)."""

from __future__ import annotations

import itertools

import pytest
import torch

from engine.errors import HeadlightError
from engine.pruning.masks import SWEEP_SPARSITIES, check_sparsity, drop_sparsity, keep_mask, kept_count

PUBLISHED = [
    (144, 0.60, 57), (144, 0.75, 35), (144, 0.84, 22), (144, 0.94, 8),
    (720, 0.75, 179),
    (336, 0.60, 133), (336, 0.75, 83), (336, 0.94, 19),
    (784, 0.75, 195),
]  # fmt: skip


@pytest.mark.parametrize(("total", "sparsity", "kept"), PUBLISHED)
def test_kept_counts_reproduce_the_published_sizes(total: int, sparsity: float, kept: int):
    assert kept_count(total, sparsity) == kept
    scores = torch.rand(1, total, generator=torch.Generator().manual_seed(0))
    assert int(keep_mask(scores, sparsity).sum()) == kept


@pytest.mark.parametrize("total", [8, 30, 144, 270])
def test_kept_count_is_the_argmin_of_the_method(total: int):
    for sparsity in SWEEP_SPARSITIES:
        distances = [abs(round(i + 1 - total * (1 - sparsity), 9)) for i in range(total)]
        assert kept_count(total, sparsity) == distances.index(min(distances))


def test_sparsity_zero_drops_only_the_lowest_head():
    scores = torch.tensor([[3.0, 1.0], [2.0, 4.0]])
    assert keep_mask(scores, 0.0).tolist() == [[True, False], [True, True]]


def test_a_count_of_one_or_less_gives_an_empty_mask():
    scores = torch.tensor([[3.0, 1.0], [2.0, 4.0]])
    assert not keep_mask(scores, 0.75).any()  # H(1 - p) = 1
    assert not keep_mask(scores, 0.99).any()  # H(1 - p) = 0.04


def test_the_highest_scores_are_kept():
    scores = torch.tensor([[3.0, 1.0, 9.0], [2.0, 4.0, -5.0]])
    # H(1 - p) = 3: the threshold is the third highest, 3.0, and only what exceeds it stays.
    assert keep_mask(scores, 0.5).tolist() == [[False, False, True], [False, True, False]]


def test_scores_equal_to_the_threshold_are_dropped():
    scores = torch.tensor([[5.0, 2.0, 2.0, 2.0, 2.0, 1.0]])
    # H(1 - p) = 4: the threshold is 2.0, so of three places only one is filled.
    assert kept_count(6, 1 / 3) == 3
    assert keep_mask(scores, 1 / 3).tolist() == [[True, False, False, False, False, False]]


def test_a_half_way_count_goes_to_the_smaller_number_despite_rounding_noise():
    assert kept_count(10, 0.85) == 0  # (1 - .85) * 10 = 1.5000000000000002 in floats; |1 - 1.5| = |2 - 1.5|
    assert kept_count(10, 0.75) == 1


def test_masks_shrink_as_sparsity_grows():
    scores = torch.randn(12, 12, generator=torch.Generator().manual_seed(1))
    masks = [keep_mask(scores, sparsity) for sparsity in SWEEP_SPARSITIES]
    assert all(not (later & ~earlier).any() for earlier, later in itertools.pairwise(masks))


def test_drop_sparsity_agrees_with_every_mask_of_the_sweep():
    scores = torch.randn(20, 12, generator=torch.Generator().manual_seed(2)).round(decimals=1)  # with ties
    drop = drop_sparsity(scores)
    for sparsity in SWEEP_SPARSITIES:
        kept = keep_mask(scores, sparsity)
        assert torch.equal(kept, drop > torch.tensor(sparsity)), sparsity
    assert drop.min() == 0
    assert drop.max() == 1  # 240 heads: the last sparsity, .99, still keeps one


@pytest.mark.parametrize("sparsity", [-0.01, 1.0, 1.5, float("nan")])
def test_sparsity_outside_its_range_is_refused(sparsity: float):
    with pytest.raises(HeadlightError, match="from 0"):
        check_sparsity(sparsity)
    with pytest.raises(HeadlightError, match="from 0"):
        keep_mask(torch.rand(2, 2), sparsity)
