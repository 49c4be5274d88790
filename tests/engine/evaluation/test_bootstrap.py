"""Intervals: by hand where the drawings can be counted, and their ends."""

import math

import pytest
import torch

from engine.evaluation import bootstrap
from engine.evaluation.bootstrap import Interval, drawings, independent_difference, interval_of, mean, paired_bootstrap
from engine.evaluation.faithfulness import faithfulness_of
from engine.evaluation.performance import performance_of


def test_two_pairs_can_be_drawn_three_ways():
    values = drawings(mean, torch.tensor([0.0, 1.0]), seed=0)
    assert set(values.tolist()) == {0.0, 0.5, 1.0}
    assert float(values.mean()) == pytest.approx(0.5, abs=0.03)  # 1/4, 1/2, 1/4 of 1000
    assert paired_bootstrap(mean, torch.tensor([0.0, 1.0]), seed=0) == Interval(0.5, 0.0, 1.0, 2, 1000)


def test_the_interval_is_the_middle_95_percent():
    # 0 ... 200: the 2.5th and 97.5th percentiles are 5 and 195.
    found = interval_of(90.0, torch.arange(201.0)[torch.randperm(201)], n=7)
    assert (found.value, found.low, found.high, found.n, found.draws) == pytest.approx((90, 5, 195, 7, 201))


def test_a_ratio_is_drawn_pair_by_pair():
    """Every pair keeps exactly half, whatever its size: the ratio does not vary, though both sides do."""
    clean = torch.tensor([1.0, 10.0, 100.0, 3.0])
    found = paired_bootstrap(performance_of, clean / 2, clean, seed=3)
    assert (found.value, found.low, found.high) == pytest.approx((50, 50, 50))
    alone = paired_bootstrap(mean, clean / 2, seed=3)
    assert alone.high - alone.low > 10


def test_a_ratio_of_means_is_not_a_mean_of_ratios():
    circuit, clean = torch.tensor([1.0, 9.0]), torch.tensor([2.0, 10.0])
    assert paired_bootstrap(performance_of, circuit, clean, seed=0).value == pytest.approx(100 * 10 / 12)


def test_the_seed_decides_the_drawings_and_nothing_else_does(monkeypatch):
    values = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    first = drawings(lambda rows: rows.mean(-1).sum(0), values, seed=5, draws=50)
    monkeypatch.setattr(bootstrap, "TOGETHER", 1)  # one drawing at a time
    assert torch.equal(first, drawings(lambda rows: rows.mean(-1).sum(0), values, seed=5, draws=50))
    assert not torch.equal(first, drawings(lambda rows: rows.mean(-1).sum(0), values, seed=6, draws=50))


def test_one_pair_has_a_value_and_no_interval():
    found = paired_bootstrap(mean, torch.tensor([2.0]), seed=0)
    assert found.value == 2.0 and math.isnan(found.low) and math.isnan(found.high)
    assert found.defined and not found.known and found.words() == "2.00 (one pair has no interval)"


def test_a_ratio_to_nothing_is_undefined():
    same = torch.tensor([1.0, 2.0, 3.0])
    found = paired_bootstrap(faithfulness_of, same + 1, same, same, seed=0)
    assert not found.defined and not found.known and "ratio to nothing" in found.words()


def test_a_ratio_that_some_drawings_leave_undefined_has_no_interval():
    # Drawn alone, the second pair has the same metric at both ends.
    clean, corrupted = torch.tensor([1.0, 5.0]), torch.tensor([0.0, 5.0])
    found = paired_bootstrap(faithfulness_of, clean, clean, corrupted, seed=0)
    assert found.value == pytest.approx(1) and not found.known and "some drawings" in found.note


def test_what_is_not_finite_is_neither_a_value_nor_a_bound():
    whole = interval_of(math.inf, torch.tensor([1.0, 2.0]), n=2)
    assert math.isnan(whole.value) and math.isnan(whole.low) and math.isnan(whole.high)
    some = interval_of(1.0, torch.tensor([1.0, 2.0] * 50 + [math.inf]), n=2)
    assert some.value == 1 and math.isnan(some.low) and math.isnan(some.high)


def test_sides_without_common_pairs_are_drawn_apart():
    """Equal values on both sides: paired, their difference would be 0 in every drawing."""
    values = torch.tensor([0.0, 1.0])
    found = independent_difference(mean, (values,), (values,), seeds=(0, 1))
    assert (found.value, found.low, found.high) == (0.0, -1.0, 1.0)
    shifted = independent_difference(mean, (torch.full((3,), 5.0),), (torch.full((2,), 3.0),), seeds=(0, 1))
    assert (shifted.value, shifted.low, shifted.high, shifted.n) == (2.0, 2.0, 2.0, 2)
    with pytest.raises(ValueError, match="two different seeds"):
        independent_difference(mean, (values,), (values,), seeds=(4, 4))


def test_vectors_must_have_the_same_pairs():
    with pytest.raises(ValueError, match="one number of pairs"):
        paired_bootstrap(performance_of, torch.ones(2), torch.ones(3), seed=0)
    with pytest.raises(ValueError, match="at least 1"):
        paired_bootstrap(mean, torch.ones(0), seed=0)


def test_words_give_value_and_interval():
    assert Interval(0.5, 0.25, 0.75, 8, 10).words("{:.0%}") == "50% (25% to 75%)"
