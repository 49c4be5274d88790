"""FLAP and Contrastive-FLAP against numbers worked out by hand (METHOD section 2.2)."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from engine.scores import contrastive_flap_scores, flap_scores


def test_flap_scores_match_the_hand_computed_layer():
    # F = (1, 0, 1, 0) and sum_i W^2 = (1, 50, 4, 2), so s = (1, 0, 16, 0) with mean 4.25 and
    # unbiased std sqrt((3.25^2 + 4.25^2 + 11.75^2 + 4.25^2) / 3) = 7.847505.
    # z-scores first, then the mean of each head's two channels: -+3.75 / 7.847505. Averaging before
    # the z-score would give -+0.7071, the biased std -+0.5518.
    z = [torch.tensor([[[0.0, 1.0, 0.0, 3.0]], [[2.0, 1.0, 2.0, 3.0]]])]
    w_o = torch.tensor([[1.0, 5.0, 0.0, 1.0], [0.0, 5.0, 2.0, 1.0]])
    assert_close(flap_scores(z, w_o, n_heads=2), torch.tensor([-0.477859, 0.477859]), atol=1e-5, rtol=0)


def test_flap_takes_the_mean_over_all_tokens_of_all_batches():
    # Channels hold 0 | 3, 3 and 0 | 2, 4 and 0 | 0, 6. All have mean 2 (not 1.5, the mean of batch means), so
    # F = (4+1+1)/2, (4+0+4)/2, (4+4+16)/2 = 3, 4, 12 and s = 9, 16, 144: mean 56.3333, unbiased std
    # sqrt((47.3333^2 + 40.3333^2 + 87.6667^2) / 2) = 76.00219.
    z = [torch.tensor([[[0.0, 0.0, 0.0]]]), torch.tensor([[[3.0, 2.0, 0.0], [3.0, 4.0, 6.0]]])]
    expected = torch.tensor([-0.622789, -0.530687, 1.153476])
    assert_close(flap_scores(z, torch.eye(3), n_heads=3), expected, atol=1e-5, rtol=0)


def test_contrastive_flap_scores_match_the_hand_computed_layer():
    # E = (2, 162, 4, 1) clean and (1, 0, 1, 5) corrupted; mean_i |W| = (2, 0, 1, 1), squared (4, 0, 1, 1);
    # s = (4, 0, 3, 4), mean 2.75, unbiased std sqrt(10.75 / 3) = 1.892969; heads -+0.75 / 1.892969.
    clean = [torch.tensor([[[1.0, 9.0, 2.0, 0.0], [1.0, 9.0, 0.0, 1.0]]])]
    corrupted = [torch.tensor([[[0.0, 0.0, 1.0, 2.0], [1.0, 0.0, 0.0, 1.0]]])]
    w_o = torch.tensor([[1.0, 0.0, 1.0, 2.0], [-3.0, 0.0, 1.0, 0.0]])
    scores = contrastive_flap_scores(clean, corrupted, w_o, n_heads=2)
    assert_close(scores, torch.tensor([-0.396203, 0.396203]), atol=1e-5, rtol=0)


def random_layer(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """clean and corrupted [batch pos channel] and w_o [d_model channel] of 3 heads with 4 channels each."""
    generator = torch.Generator().manual_seed(seed)
    clean, corrupted = (torch.randn(6, 5, 12, generator=generator) for _ in range(2))
    return clean, corrupted, torch.randn(7, 12, generator=generator)


def test_scores_do_not_depend_on_the_order_of_pairs_or_their_split_into_batches():
    clean, corrupted, w_o = random_layer()
    order = torch.tensor([4, 2, 5, 0, 1, 3])
    assert_close(flap_scores([clean[order]], w_o, 3), flap_scores([clean], w_o, 3), atol=1e-7, rtol=0)
    assert_close(flap_scores([clean[:2], clean[2:]], w_o, 3), flap_scores([clean], w_o, 3), atol=1e-7, rtol=0)
    split = contrastive_flap_scores([clean[order][:3], clean[order][3:]], [corrupted], w_o, 3)
    assert_close(split, contrastive_flap_scores([clean], [corrupted], w_o, 3), atol=1e-7, rtol=0)


def test_scores_of_a_layer_average_to_zero_and_follow_their_heads():
    clean, corrupted, w_o = random_layer()
    scores = contrastive_flap_scores([clean], [corrupted], w_o, 3)
    assert_close(scores.sum(), torch.tensor(0.0), atol=1e-6, rtol=0)
    swap = torch.cat([torch.arange(8, 12), torch.arange(8)])  # heads 2, 0, 1
    swapped = contrastive_flap_scores([clean[..., swap]], [corrupted[..., swap]], w_o[:, swap], 3)
    assert_close(swapped, scores[[2, 0, 1]], atol=1e-6, rtol=0)


def test_equal_channels_score_zero_and_not_nan():
    ones = torch.ones(2, 3, 4)
    assert_close(flap_scores([ones], torch.ones(2, 4), 2), torch.zeros(2), atol=0, rtol=0)
    uneven = torch.tensor([0.1, 0.7, 0.3]).reshape(1, 3, 1).expand(1, 3, 4)  # equal channels, inexact sums
    assert_close(flap_scores([uneven], torch.full((2, 4), 0.3), 2), torch.zeros(2), atol=0, rtol=0)
    assert_close(contrastive_flap_scores([ones], [ones], torch.ones(2, 4), 2), torch.zeros(2), atol=0, rtol=0)
    assert_close(flap_scores([torch.rand(1, 3, 1)], torch.ones(2, 1), 1), torch.zeros(1), atol=0, rtol=0)


def test_half_precision_squares_do_not_overflow():
    clean, _, w_o = random_layer()
    large = (clean * 300).half()  # 300^2 is beyond float16
    expected = flap_scores([large.double()], w_o, 3)
    assert_close(flap_scores([large], w_o, 3), expected, atol=1e-6, rtol=0)
    assert expected.isfinite().all()


@pytest.mark.parametrize(
    ("z", "n_heads", "words"),
    [([], 2, "at least one prompt"), ([torch.ones(1, 2, 5)], 2, "pos 4"), ([torch.ones(1, 2, 4)], 3, "equal shares")],
)
def test_wrong_shapes_are_refused(z: list[torch.Tensor], n_heads: int, words: str):
    with pytest.raises(ValueError, match=words):
        flap_scores(z, torch.ones(2, 4), n_heads)
