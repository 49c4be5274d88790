"""What is drawn, and what the band and the share say."""

import math

import pytest
import torch

from engine.evaluation.random_circuits import Draw, has_others, measure_random_circuits, random_masks
from engine.evaluation.scale import Scale
from engine.heads import Head, mask_of

SCALE = Scale(torch.tensor([4.0, 6.0]), torch.tensor([0.0, 2.0]), seed=3)  # a fall of 4
KEEP = mask_of([Head(0, 0), Head(0, 1), Head(2, 3)], 3, 8)


def test_sets_match_in_size_or_layer_by_layer():
    for mask in random_masks(KEEP, Draw.SAME_LAYERS, 30, seed=0):
        assert mask.sum(1).tolist() == [2, 0, 1]
    anywhere = random_masks(KEEP, Draw.SAME_SIZE, 30, seed=0)
    assert {int(mask.sum()) for mask in anywhere} == {3} and any(mask[1].any() for mask in anywhere)
    for draw in Draw:
        once, again = (torch.stack(random_masks(KEEP, draw, 30, seed=0)) for _ in range(2))
        assert torch.equal(once, again) and not torch.equal(once, torch.stack(random_masks(KEEP, draw, 30, seed=1)))
        assert once.float().mean(0).std() > 0 and len({tuple(mask.flatten().tolist()) for mask in once}) > 10


def test_band_and_share_by_hand():
    gains = iter([0.4, 2.0, 1.2, 3.2])  # .1 .5 .3 .8
    found = measure_random_circuits(
        lambda keep: SCALE.corrupted + next(gains), KEEP, SCALE.corrupted + 2.4, SCALE, Draw.SAME_SIZE, draws=4
    )
    assert found.faithfulness == pytest.approx((0.1, 0.5, 0.3, 0.8)) and found.circuit == pytest.approx(0.6)
    assert found.metric == pytest.approx((1.4, 3.0, 2.2, 4.2)) and found.seed == 3
    assert found.band == pytest.approx((0.1, 0.4, 0.8)) and found.beaten == 0.75


def test_where_there_is_no_other_set_nothing_is_drawn():
    nothing, everything = torch.zeros(2, 2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool)
    one_layer = torch.tensor([[True, True], [False, False]])
    assert [has_others(mask, Draw.SAME_SIZE) for mask in (nothing, everything, one_layer)] == [False, False, True]
    assert [has_others(mask, Draw.SAME_LAYERS) for mask in (nothing, everything, one_layer)] == [False] * 3
    assert measure_random_circuits(lambda keep: SCALE.clean, nothing, SCALE.clean, SCALE, Draw.SAME_SIZE) is None


def test_undefined_shares_beat_nothing():
    same = Scale(SCALE.clean, SCALE.clean, seed=0)
    found = measure_random_circuits(lambda keep: SCALE.clean, KEEP, SCALE.clean, same, Draw.SAME_LAYERS, draws=3)
    assert math.isnan(found.beaten) and found.metric == (5, 5, 5) and found.note
