"""Cliff points on curves built so that the answer can be read off (METHOD section 2.5)."""

from __future__ import annotations

import pytest

from engine.pruning.cliffs import find_cliffs
from engine.pruning.masks import SWEEP_SPARSITIES


def curve(*pieces: tuple[int, float]) -> list[float]:
    """Performance as (how many points, at which value) pieces, 100 in all."""
    values = [value for count, value in pieces for _ in range(count)]
    assert len(values) == 100
    return values


def indices(performance: list[float]) -> tuple[int, int]:
    cliffs = find_cliffs(SWEEP_SPARSITIES, performance)
    return cliffs.first.index, cliffs.biggest.index


def test_one_step_is_found_by_both():
    # Window 10, tau = 8: index 50 is the first to see the step at 59|60, and both move to just before it.
    assert indices(curve((60, 100.0), (40, 20.0))) == (59, 59)


def test_first_takes_the_earlier_and_biggest_the_larger_of_two_steps():
    # Steps 100 -> 85 after index 29 and 85 -> 0 after index 79; tau = 10.
    assert indices(curve((30, 100.0), (50, 85.0), (20, 0.0))) == (29, 79)


def test_a_step_smaller_than_a_tenth_of_the_range_is_no_cliff():
    # The first step falls by 9 < tau = 10.
    assert indices(curve((30, 100.0), (50, 91.0), (20, 0.0))) == (79, 79)


def test_a_gradual_fall_keeps_the_start_of_the_window():
    # 100 up to index 40, then 4 less at each of 20 points; tau = 8. Index 32 is the first to see a change of 8
    # (92 at index 42), and no single step reaches 8. The largest windowed drop, 40, is first seen from index 40
    # and has shrunk to 32 only at index 52, more than ten points on.
    slope = [100.0] * 41 + [100.0 - 4 * step for step in range(1, 21)] + [20.0] * 39
    assert indices(slope) == (32, 40)


def test_a_fall_at_the_very_end_is_found():
    # As on SmolLM2: nothing happens before sparsity .95, and the windows reach beyond the curve.
    assert indices(curve((96, 106.0), (4, 10.0))) == (95, 95)
    assert indices(curve((99, 106.0), (1, 10.0))) == (98, 98)


def test_a_gradual_fall_at_the_end_of_the_curve():
    # 106 up to index 95, then 90, 60, 20, 0; tau = 10.6. Index 86 is the first to see 90, a change of 16 within
    # 10 steps; the first single step of at least 10.6 is 95 -> 96. The largest windowed drop, 106, is first
    # seen from index 89 and has shrunk to 90 at index 96: just before is 95.
    performance = [106.0] * 96 + [90.0, 60.0, 20.0, 0.0]
    assert indices(performance) == (95, 95)


def test_a_curve_that_never_falls_falls_back_to_75_percent():
    for performance in ([80.0] * 100, [float(i) for i in range(100)]):
        cliffs = find_cliffs(SWEEP_SPARSITIES, performance)
        assert [cliff.sparsity for cliff in cliffs.all()] == [0.75, 0.75, 0.75]
        assert "never falls" in cliffs.first.reason
        assert "never falls" in cliffs.biggest.reason


def test_the_first_cliff_counts_changes_in_both_directions():
    # A rise of 50 after index 9 is a change of at least tau = 10 as well; the step down after index 15 is
    # among the next ten, so the cliff moves there. The larger fall comes after index 79.
    performance = curve((10, 50.0), (6, 100.0), (64, 80.0), (20, 0.0))
    assert indices(performance) == (15, 79)
    # With no step down among the next ten, it stays at the rise itself.
    assert indices(curve((10, 50.0), (70, 100.0), (20, 0.0))) == (9, 79)


def test_sparsities_and_reasons_belong_to_the_indices():
    cliffs = find_cliffs(SWEEP_SPARSITIES, curve((60, 100.0), (40, 20.0)))
    assert (cliffs.first.sparsity, cliffs.biggest.sparsity, cliffs.fixed.sparsity) == (0.59, 0.59, 0.75)
    assert [cliff.kind.value for cliff in cliffs.all()] == ["first", "biggest", "fixed"]
    assert "8.0 points" in cliffs.first.reason
    assert "100 %" in cliffs.first.reason


def test_the_window_follows_the_range_of_sparsities():
    # .60 ... .98 as in the paper: w = round(3.8) = 4; the step after index 19 is seen from index 16.
    sparsities = [percent / 100 for percent in range(60, 99)]
    cliffs = find_cliffs(sparsities, [100.0] * 20 + [0.0] * 19)
    assert cliffs.first.sparsity == cliffs.biggest.sparsity == 0.79
    # Slope of 2 a point over all 39 points: w = 4 sees 8, tau = 7.6, no single step of 7.6: the very start.
    assert find_cliffs(sparsities, [100.0 - 2 * i for i in range(39)]).first.index == 0


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one performance a sparsity"):
        find_cliffs([0.1, 0.2], [1.0])
