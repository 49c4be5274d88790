"""Output difference, attributions and combined scores against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from engine.cli.stage_options import SCORES
from engine.errors import HeadlightError
from engine.pruning.masks import keep_mask
from engine.scores import (
    attribution_scores,
    equal_union,
    output_difference_scores,
    position_attribution_scores,
    rank_sum,
    token_attributions,
)
from engine.scores.head_scores import HeadScores
from engine.scores.kinds import COMBINED, LAZY, MEASURED, TITLES, Score, Source

# Two heads of two channels; head 0 writes (a, 2b), head 1 writes (a + b, 0).
W_O = torch.tensor([[1.0, 0.0, 1.0, 1.0], [0.0, 2.0, 0.0, 0.0]])


def test_output_difference_is_the_mean_squared_change_of_what_each_head_writes():
    # Changes (1, 1 | 1, -1) and (0, 2 | 3, 0) in one prompt, (2, 0 | 0, 0) alone in the other:
    # head 0 writes (1, 2), (0, 4), (2, 0): 5 + 16 + 4 = 25; head 1 writes 0, 3, 0: 9. Over 3 tokens.
    clean = [torch.tensor([[[1.0, 2.0, 4.0, 0.0], [0.0, 3.0, 3.0, 5.0]]]), torch.tensor([[[2.0, 1.0, 7.0, 7.0]]])]
    corrupted = [torch.tensor([[[0.0, 1.0, 3.0, 1.0], [0.0, 1.0, 0.0, 5.0]]]), torch.tensor([[[0.0, 1.0, 7.0, 7.0]]])]
    found = output_difference_scores(clean, corrupted, W_O, n_heads=2)
    assert_close(found, torch.tensor([25 / 3, 3.0]), atol=1e-6, rtol=0)


def test_output_difference_sees_what_energies_do_not():
    """A head that writes something else of equal size: Contrastive-FLAP compares energies, and finds none."""
    from engine.scores import contrastive_flap_scores

    clean, corrupted = [torch.tensor([[[1.0, 0.0, 1.0, 2.0]]])], [torch.tensor([[[-1.0, 0.0, 1.0, 2.0]]])]
    assert_close(contrastive_flap_scores(clean, corrupted, W_O, 2), torch.zeros(2), atol=0, rtol=0)
    assert output_difference_scores(clean, corrupted, W_O, 2).tolist() == [4.0, 0.0]


def test_output_difference_refuses_what_is_no_pair():
    one, other = [torch.ones(2, 3, 4)], [torch.ones(1, 3, 4), torch.ones(1, 3, 4)]
    with pytest.raises(ValueError, match="same pairs"):
        output_difference_scores(one, other, W_O, 2)
    with pytest.raises(ValueError, match="at least one prompt"):
        output_difference_scores([], [], W_O, 2)


def test_token_attributions_are_products_summed_over_a_heads_channels():
    clean = torch.tensor([3.0, 1.0]).expand(1, 1, 1, 1, 2)  # layer batch pos head d_head
    corrupted, gradient = torch.tensor([[[[[1.0, 2.0]]]]]), torch.tensor([[[[[0.5, 4.0]]]]])
    assert token_attributions(clean, corrupted, gradient).tolist() == [[[[2 * 0.5 - 1 * 4.0]]]]
    with pytest.raises(ValueError, match="same pairs"):
        token_attributions(clean, corrupted, torch.ones(1, 1, 2, 1, 2))


def by_head(*rows: list[list[float]]) -> Tensor:
    """a_nt ``[layer batch pos head]`` of one layer from one list of tokens a prompt, ``[pos head]``."""
    return torch.tensor(rows, dtype=torch.float64)[None]


def test_attribution_lets_tokens_and_prompts_cancel_and_by_position_does_not():
    # Head 0: 3 - 1 in one prompt, -4 in another; head 1: -1, -1 and -1.
    attributions = [by_head([[3.0, -1.0], [-1.0, -1.0]]), by_head([[-4.0, -1.0]])]
    assert_close(attribution_scores(attributions), torch.tensor([[1.0, 1.5]]), atol=0, rtol=0)
    assert_close(position_attribution_scores(attributions), torch.tensor([[4.0, 1.5]]), atol=0, rtol=0)
    with pytest.raises(ValueError, match="at least one prompt"):
        attribution_scores([])


def test_rank_sum_adds_ranks_and_settles_ties_by_the_first_score():
    # Ranks 1 4 2 3 and 4 1 2 3: sums 5 5 4 6; of the two fives the first score prefers head 0.
    one, other = torch.tensor([[9.0, 1.0], [8.0, 7.0]]), torch.tensor([[0.1, 0.9], [0.8, 0.7]])
    assert_close(rank_sum([one, other]), torch.tensor([[2 / 3, 1 / 3], [1.0, 0.0]]), atol=1e-6, rtol=0)
    assert_close(rank_sum([other, one]), torch.tensor([[1 / 3, 2 / 3], [1.0, 0.0]]), atol=1e-6, rtol=0)


def test_equal_union_takes_the_best_of_each_in_turn():
    # Orders 0 1 2 3 and 0 3 2 1: first 0, then of the other its next, 3; then 1, then 2.
    one, other = torch.tensor([[4.0, 3.0], [2.0, 1.0]]), torch.tensor([[4.0, 1.0], [2.0, 3.0]])
    assert_close(equal_union([one, other]), torch.tensor([[1.0, 1 / 3], [0.0, 2 / 3]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [2, 5, 7, 11])
def test_the_equal_union_is_a_union_of_both_masks(size):
    generator = torch.Generator().manual_seed(size)
    one, other = torch.rand(4, 5, generator=generator), torch.rand(4, 5, generator=generator)
    chosen = set(equal_union([one, other]).flatten().topk(size).indices.tolist())
    firsts = [[set(score.flatten().topk(k).indices.tolist()) for k in range(size + 1)] for score in (one, other)]
    assert len(chosen) == size and any(a | b == chosen for a in firsts[0] for b in firsts[1])


@pytest.mark.parametrize("combine", [rank_sum, equal_union])
def test_combined_orders_have_no_ties_so_masks_have_their_full_size(combine):
    even = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    assert combine([even, even]).unique().numel() == 6
    assert int(keep_mask(combine([even, even]), 0.5).sum()) == 2 and not keep_mask(even, 0.5).any()
    assert combine([torch.tensor([[3.0]])]).tolist() == [[1.0]]
    with pytest.raises(ValueError, match="one shape"):
        combine([even, even.T])


def made_up() -> HeadScores:
    """FLAP prefers heads 0 1 2 3, Contrastive-FLAP 3 2 1 0, attribution by position 1 0 3 2."""
    return HeadScores(
        {
            Score.FLAP: torch.tensor([[4.0, 3.0], [2.0, 1.0]]),
            Score.CONTRASTIVE_FLAP: torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
            Score.POSITION_ATTRIBUTION: torch.tensor([[3.0, 4.0], [1.0, 2.0]]),
        }
    )


def test_head_scores_make_masks_of_every_score_they_can():
    scores = made_up()
    assert scores.available() == (Score.CONTRASTIVE_FLAP, Score.FLAP, Score.POSITION_ATTRIBUTION)
    assert scores.keep(Score.FLAP, 0.25).tolist() == [[True, True], [False, False]]  # round(4 * .75) - 1 heads
    assert scores.keep(Score.MERGED, 0.5).tolist() == [[True, False], [False, True]]
    assert scores.keep(Score.EQUAL_UNION, 0.25).tolist() == [[True, False], [False, True]]
    # Ranks 4 3 2 1 and 2 1 4 3: sums 6 4 6 4; Contrastive-FLAP prefers head 3 to 1.
    assert scores.keep(Score.RANK_SUM, 0.25).tolist() == [[False, True], [False, True]]
    assert scores.of(Score.RANK_SUM).flatten().argmax() == 3
    assert torch.equal(scores.of(Score.MERGED), torch.tensor([[4.0, 3.0], [3.0, 4.0]]))
    for score in (Score.FLAP, Score.MERGED, Score.RANK_SUM):
        dropped = scores.drops(score)
        for sparsity in (0.0, 0.25, 0.5, 0.75):
            assert torch.equal(scores.keep(score, sparsity), dropped > sparsity)


def test_a_score_that_is_not_there_is_refused_by_name():
    assert not made_up().has(Score.ATTRIBUTION) and made_up().has(Score.RANK_SUM)
    with pytest.raises(HeadlightError, match=r"Integrated attribution has not been measured.*C-FLAP, FLAP"):
        made_up().keep(Score.INTEGRATED_ATTRIBUTION, 0.5)


def test_every_score_has_a_title_a_source_and_an_option():
    assert tuple(score.value for score in Score) == SCORES and set(TITLES) == set(Score)
    assert set(MEASURED) | set(COMBINED) == set(Score) and not set(MEASURED) & set(COMBINED)
    lazy = [score for score in Score if score.source is not Source.RUNS]
    assert lazy == [
        Score.ATTRIBUTION, Score.POSITION_ATTRIBUTION, Score.INTEGRATED_ATTRIBUTION, Score.WALK, Score.RANK_SUM,
        Score.WALK_UNION,
    ]  # fmt: skip
    assert Score.RANK_SUM.source is Source.GRADIENT and Score.INTEGRATED_ATTRIBUTION.source is Source.PATH
    assert Score.WALK.source is Score.WALK_UNION.source is Source.EDGES
    assert {score for scores in LAZY.values() for score in scores} < set(MEASURED)
