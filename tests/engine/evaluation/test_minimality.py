"""Each member's own contribution where the metric is a sum known by hand."""

import math

import pytest
import torch

from engine.evaluation.bootstrap import Interval
from engine.evaluation.minimality import Standing, head_minimality, judge, minimality
from engine.evaluation.scale import Scale
from engine.heads import Head, heads_of, mask_of

CORRUPTED = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64)
SCALE = Scale(CORRUPTED + 4, CORRUPTED, seed=0)  # a fall of 4 on every pair
WEIGHT = {Head(0, 1): 2.0, Head(1, 0): 0.003, Head(1, 2): 1.0, Head(2, 1): -0.4}
KEEP = mask_of(WEIGHT, 3, 3)


def added(keep):
    """Corrupted, and what each kept head adds on every pair."""
    return SCALE.corrupted + sum(WEIGHT[head] for head in heads_of(keep))


def test_a_sum_gives_back_what_each_head_adds():
    found = head_minimality(added, KEEP, SCALE)
    assert [str(each.member) for each in found.contributions] == ["0.1", "1.2", "1.0", "2.1"]
    assert [each.share.value for each in found.contributions] == pytest.approx([0.5, 0.25, 0.00075, -0.1])
    assert [each.change.value for each in found.contributions] == pytest.approx([2, 1, 0.003, -0.4])
    assert [each.standing for each in found.contributions] == [
        Standing.CONTRIBUTES, Standing.CONTRIBUTES, Standing.NOISE, Standing.AGAINST,
    ]  # fmt: skip
    assert found.not_contributing == (Head(1, 0),) and found.standing(Standing.AGAINST) == (Head(2, 1),)


def test_heads_go_from_the_last_layer_down_each_alone():
    asked, told = [], []

    def metric(keep):
        asked.append(keep.clone())
        return added(keep)

    head_minimality(metric, KEEP, SCALE, lambda *step: told.append(step))
    assert torch.equal(asked[0], KEEP)
    assert [heads_of(KEEP & ~keep) for keep in asked[1:]] == [(head,) for head in sorted(WEIGHT, reverse=True)]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_heads_that_stand_in_for_each_other_look_needless_alone():
    either = mask_of([Head(0, 0), Head(0, 1)], 1, 2)
    found = head_minimality(lambda keep: SCALE.corrupted + 4.0 * bool(keep.any()), either, SCALE)
    assert found.not_contributing == (Head(0, 1), Head(0, 0))


def test_a_metric_that_corruption_raises_counts_the_other_way():
    scale = Scale(SCALE.corrupted, SCALE.clean, seed=0)
    found = minimality({Head(0, 0): torch.full((3,), 1.0), Head(0, 1): torch.full((3,), -2.0)}, scale)
    assert [(str(each.member), each.share.value) for each in found.contributions] == [("0.1", 0.5), ("0.0", -0.25)]


@pytest.mark.parametrize(
    ("low", "high", "standing"),
    [
        (0.0011, 0.5, Standing.CONTRIBUTES), (0.0009, 0.5, Standing.NOISE), (-0.1, 0.5, Standing.NOISE),
        (-0.5, -0.0009, Standing.NOISE), (-0.5, -0.0011, Standing.AGAINST), (math.nan, math.nan, Standing.UNKNOWN),
    ],
)  # fmt: skip
def test_the_interval_judges_not_the_value(low, high, standing):
    assert judge(Interval(0.3, low, high, 5, 10)) is standing


def test_where_shares_are_undefined_or_one_pair_is_all_nothing_is_judged():
    same = Scale(SCALE.clean, SCALE.clean, seed=0)
    found = head_minimality(added, KEEP, same)
    assert {each.standing for each in found.contributions} == {Standing.UNKNOWN} and found.not_contributing == ()
    assert [each.change.value for each in found.contributions] == pytest.approx([2, 1, 0.003, -0.4]) and found.note
    lone = minimality({Head(0, 0): torch.ones(1)}, Scale(torch.ones(1), torch.zeros(1), seed=0))
    assert lone.contributions[0].standing is Standing.UNKNOWN and lone.contributions[0].share.value == 1


def test_a_circuit_without_members_has_none():
    assert head_minimality(lambda keep: SCALE.corrupted, torch.zeros(3, 3, dtype=torch.bool), SCALE).contributions == ()
