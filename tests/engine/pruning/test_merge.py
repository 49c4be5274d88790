"""The nine unions and each branch of the choice among them (METHOD section 2.6)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.pruning.cliffs import Cliff, CliffKind, Cliffs
from engine.pruning.merge import UNION_NAMES, Merge, check_union, choose, meets_rule, nine_merges
from engine.pruning.pareto import knee, pareto_front


def cliffs_at(first: float, biggest: float, fixed: float) -> Cliffs:
    kinds = zip(CliffKind, (first, biggest, fixed), strict=True)
    return Cliffs(*(Cliff(kind, round(sparsity * 100), sparsity, "made up") for kind, sparsity in kinds))


# Ten heads; H(1 - p) - 1 of the highest scores are kept: 4, 2, 1 for p = .5, .7, .8.
RISING = torch.arange(10.0).reshape(2, 5)
FALLING = -RISING


def test_nine_unions_are_listed_and_each_distinct_mask_is_evaluated_once():
    calls: list[Tensor] = []

    def evaluate(mask: Tensor) -> float:
        calls.append(mask)
        return 10.0 * float(mask.sum())

    merges = nine_merges(RISING, FALLING, cliffs_at(0.5, 0.7, 0.7), cliffs_at(0.5, 0.8, 0.8), evaluate)
    # Rising keeps heads 6-9 or 8-9, falling 0-3 or 0; the two never overlap.
    assert [merge.size for merge in merges] == [8, 5, 5, 6, 3, 3, 6, 3, 3]
    assert [merge.performance for merge in merges] == [80, 50, 50, 60, 30, 30, 60, 30, 30]
    assert len(calls) == 4
    assert merges[1].mask.flatten().tolist() == [True] + [False] * 5 + [True] * 4
    kinds = [(merge.flap_cliff.kind.value, merge.contrastive_cliff.kind.value) for merge in merges]
    assert kinds[:4] == [("first", "first"), ("first", "biggest"), ("first", "fixed"), ("biggest", "first")]


def test_a_union_of_overlapping_masks_counts_heads_once():
    merges = nine_merges(RISING, RISING, cliffs_at(0.5, 0.7, 0.8), cliffs_at(0.5, 0.7, 0.8), lambda mask: 1.0)
    assert [merge.size for merge in merges] == [4, 4, 4, 4, 2, 2, 4, 2, 1]


def test_unions_are_named_by_the_cliffs_of_flap_and_contrastive_flap():
    cliffs = cliffs_at(0.5, 0.7, 0.8)
    merges = nine_merges(RISING, FALLING, cliffs, cliffs, lambda mask: 1.0)
    assert tuple(merge.name for merge in merges) == UNION_NAMES
    assert merges[1].name == check_union("first+biggest")
    with pytest.raises(HeadlightError, match=r"biggest\+fixed.*got 'fixed'"):
        check_union("fixed")


def test_the_rule_asks_for_performance_and_half_the_heads():
    assert [meets_rule(merge, 21) for merge in made_up((10, 75.0), (10, 74.9), (11, 99.0))] == [True, False, False]


def made_up(*points: tuple[int, float]) -> list[Merge]:
    """Unions with the given (size, performance)."""
    cliff = Cliff(CliffKind.FIXED, 75, 0.75, "made up")
    return [Merge(cliff, cliff, torch.zeros(1, 1, dtype=torch.bool), size, value) for size, value in points]


def chosen(total_heads: int, *points: tuple[int, float]) -> tuple[int, float, str]:
    choice = choose(made_up(*points), total_heads)
    return choice.merge.size, choice.merge.performance, choice.reason


def test_the_smallest_with_enough_performance_is_chosen():
    size, performance, reason = chosen(100, (40, 99.0), (30, 75.0), (20, 74.9), (50, 120.0))
    assert (size, performance) == (30, 75.0)
    assert "smallest" in reason


def test_of_equal_sizes_the_better_is_chosen():
    assert chosen(100, (30, 80.0), (30, 90.0), (40, 95.0))[:2] == (30, 90.0)


def test_half_of_all_heads_is_allowed_and_one_more_is_not():
    size, _, reason = chosen(60, (30, 80.0), (20, 70.0), (10, 1.0))
    assert size == 30
    assert "smallest" in reason
    size, performance, reason = chosen(59, (30, 80.0), (20, 70.0), (10, 1.0))
    # 30 > 29.5, so the knee: the chord from (10, 1) to (30, 80) passes (20, 40.5), and 70 is above it.
    assert (size, performance) == (20, 70.0)
    assert "knee" in reason


def test_the_knee_is_the_point_farthest_above_the_chord():
    # Chord from (10, 10) to (50, 70): 1.5 a head. Heights: 20 -> 30 - 25 = 5, 30 -> 60 - 40 = 20, 40 -> 62 - 55 = 7.
    front = made_up((10, 10.0), (20, 30.0), (30, 60.0), (40, 62.0), (50, 70.0))
    point = knee(front)
    assert point is front[2]
    assert chosen(200, *[(merge.size, merge.performance) for merge in front])[0] == 30


def test_the_pareto_front_leaves_out_what_another_beats():
    front = pareto_front(made_up((30, 50.0), (10, 20.0), (20, 20.0), (10, 15.0), (40, 50.0), (50, 51.0)))
    assert [(merge.size, merge.performance) for merge in front] == [(10, 20.0), (30, 50.0), (50, 51.0)]


def test_a_front_without_a_knee_gives_its_best_of_at_most_half_the_heads():
    # A hollow front: (20, 15) and (30, 25) lie below the chord from (10, 10) to (60, 70).
    size, performance, reason = chosen(80, (10, 10.0), (20, 15.0), (30, 25.0), (60, 70.0))
    assert (size, performance) == (30, 25.0)
    assert "no knee" in reason
    assert "best" in reason


def test_a_front_whose_unions_are_all_too_large_gives_its_smallest():
    size, _, reason = chosen(10, (8, 40.0), (9, 60.0))
    assert size == 8
    assert "smallest" in reason


def test_a_single_weak_union_is_taken_as_it_is():
    assert chosen(100, (20, 30.0))[0] == 20
    assert knee(made_up((20, 30.0))) is None


def test_unions_without_a_measured_performance_are_passed_over():
    assert chosen(100, (10, float("nan")), (20, 30.0))[0] == 20
    with pytest.raises(HeadlightError, match="finite"):
        choose(made_up((10, float("nan")), (20, float("inf"))), 100)
