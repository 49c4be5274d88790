"""Faithfulness by size and the two areas, on curves whose area is known."""

import pytest
import torch

from engine.circuit import Circuit, Edge, Input
from engine.evaluation.by_size import area, faithfulness_by_size, ranking_of, sizes_of
from engine.evaluation.scale import Scale
from engine.heads import Head, heads_of

SCALE = Scale(torch.tensor([4.0, 6.0, 5.0]), torch.tensor([0.0, 2.0, 1.0]), seed=0)  # a fall of 4
RANKING = tuple(Head(layer, index) for layer in (1, 0) for index in range(10))


def test_sizes_are_mibs_shares_of_all_heads():
    assert sizes_of(24) == (0, 1, 2, 4, 12, 24)
    assert sizes_of(144) == (0, 1, 2, 7, 14, 28, 72, 144)
    assert sizes_of(1000) == (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def test_trapezoids_by_hand():
    shares = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    values = torch.tensor([[0.0, 1.0], [0.8, 1.0], [1.0, 1.0]], dtype=torch.float64)
    # .25 · .4 + .75 · .9
    torch.testing.assert_close(area(shares, values), torch.tensor([0.775, 1.0], dtype=torch.float64))


def test_a_curve_that_rises_with_the_share_has_two_halves():
    asked = []

    def metric(keep):
        asked.append(heads_of(keep))
        return SCALE.corrupted + 4 * float(keep.sum()) / 20

    found = faithfulness_by_size(metric, RANKING, (2, 10), SCALE)
    assert found.sizes == (0, 1, 2, 4, 10, 20) and found.shares == (0, 0.05, 0.1, 0.2, 0.5, 1)
    assert [each.value for each in found.faithfulness] == pytest.approx([0, 0.05, 0.1, 0.2, 0.5, 1])
    assert (found.cpr.value, found.cmd.value) == pytest.approx((0.5, 0.5))
    assert (found.cpr.low, found.cpr.high) == pytest.approx((0.5, 0.5))
    assert asked == [tuple(sorted(RANKING[:size])) for size in found.sizes]


def test_what_lies_above_the_model_adds_to_both_areas():
    found = faithfulness_by_size(lambda keep: SCALE.corrupted + 4 * 1.5, RANKING, (2, 10), SCALE)
    assert (found.cpr.value, found.cmd.value) == pytest.approx((1.5, 0.5))


def test_areas_of_undefined_shares_are_undefined():
    found = faithfulness_by_size(lambda keep: SCALE.clean, RANKING, (2, 10), Scale(SCALE.clean, SCALE.clean, seed=0))
    assert not found.cpr.defined and not found.cmd.defined and found.note


def test_the_circuit_goes_first_by_its_largest_effect_then_the_rest_by_score():
    edges = (
        Edge(Head(1, 0), None, Input.LOGITS, -0.2),
        Edge(Head(0, 1), Head(1, 0), Input.K, 0.1),
        Edge(Head(0, 1), None, Input.LOGITS, -0.6),
    )
    circuit = Circuit((Head(0, 1), Head(1, 0), Head(1, 2)), edges, 2, 3)
    scores = torch.tensor([[0.5, -1.0, 3.0], [-2.0, 4.0, -5.0]])
    assert [str(head) for head in ranking_of(circuit, scores)] == ["0.1", "1.0", "1.2", "1.1", "0.2", "0.0"]
