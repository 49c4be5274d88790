"""Agreement with a reference, counted by hand."""

import json
import math

import pytest
import torch

from engine.circuit import Circuit, Edge, Input
from engine.errors import HeadlightError
from engine.heads import Head, mask_of
from engine.models.sources import TOY_FOLDER
from engine.record.circuit_file import parse_circuit
from engine.trust.agreement import (
    heads_needed,
    rank_correlation,
    rank_correlations,
    recall_curve,
    roc_curve,
    score_agreements,
    with_circuit,
    with_key,
)
from engine.trust.answer_keys import answer_keys

# From the highest: 0.0, 0.1, 0.2, 1.0, then 1.1 and 1.2 tied. Known: the first, the third, one of the tied.
SCORES = torch.tensor([[6.0, 5.0, 4.0], [3.0, 1.0, 1.0]])
KNOWN = (Head(0, 0), Head(0, 2), Head(1, 1))
MASK = mask_of(KNOWN, 2, 3)


def test_the_roc_curve_by_hand():
    """A known head, another, a known one, another, and the tied two together, which make a slope."""
    roc = roc_curve(SCORES, MASK)
    assert roc.true_positive_rate == pytest.approx((0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1))
    assert roc.false_positive_rate == pytest.approx((0, 0, 1 / 3, 1 / 3, 2 / 3, 1))
    # Of the 9 pairs (known, other): 6 beats 5, 3, 1; 4 beats 3, 1; 1 ties with 1: 5.5 of 9.
    assert roc.auc == pytest.approx(5.5 / 9)


def test_a_perfect_score_and_its_reverse():
    known = mask_of([Head(0, 0), Head(0, 1)], 2, 3)
    scores = torch.arange(6.0).reshape(2, 3)
    assert roc_curve(-scores, known).auc == 1 and roc_curve(scores, known).auc == 0
    assert heads_needed(-scores, known) == 2 and heads_needed(scores, known) == 6


def test_without_heads_on_both_sides_there_is_no_area():
    for known in (torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, 3, dtype=torch.bool)):
        assert math.isnan(roc_curve(SCORES, known).auc)


def test_heads_needed_for_a_recall_take_all_that_tie():
    assert heads_needed(SCORES, MASK, 1 / 3) == 1
    assert heads_needed(SCORES, MASK, 2 / 3) == 3
    assert heads_needed(SCORES, MASK) == 6  # 1.1 comes with 1.2


def test_recall_by_sparsity_is_that_of_the_keep_masks():
    """Sparsity 0 keeps the 4 heads above the tie, one half keeps round(3) - 1 = 2, .99 none."""
    curve = recall_curve(SCORES, MASK)
    at = dict(zip(curve.sparsities, zip(curve.sizes, curve.recall, curve.precision, strict=True), strict=True))
    assert at[0.0] == (4, pytest.approx(2 / 3), 0.5)
    assert at[0.5] == (2, pytest.approx(1 / 3), 0.5)
    assert at[0.99][:2] == (0, 0) and math.isnan(at[0.99][2])
    assert len(curve.recall) == 100


def test_rank_correlation_over_what_both_have():
    one = torch.tensor([[1.0, 2.0, 3.0, 9.0]])
    other = torch.tensor([[10.0, 30.0, 20.0, float("nan")]])
    # Ranks 3 2 1 against 3 1 2: 1 - 6 * (0 + 1 + 1) / (3 * 8) = .5
    assert rank_correlation(one, other) == pytest.approx(0.5)
    assert math.isnan(rank_correlation(one, torch.full((1, 4), float("nan"))))
    assert rank_correlations({"a": one, "b": other, "c": -one}) == {
        ("a", "b"): pytest.approx(0.5), ("a", "c"): pytest.approx(-1.0), ("b", "c"): pytest.approx(-0.5),
    }  # fmt: skip


def test_effects_count_by_size_and_what_has_no_score_is_last():
    effects = torch.tensor([[-0.9, 0.5, 0.4], [-0.1, 0.0, float("nan")]])
    scores = torch.tensor([[5.0, 4.0, 3.0], [2.0, 1.0, float("nan")]])
    [result] = score_agreements({"flap": scores}, [Head(0, 0)], effects)
    assert result.correlation == pytest.approx(1.0) and (result.known, result.needed, result.roc.auc) == (1, 1, 1.0)
    [last] = score_agreements({"flap": scores}, [Head(1, 2)])
    assert last.needed == 6 and last.roc.auc == 0 and math.isnan(last.correlation)


def test_a_head_the_model_lacks_is_named():
    with pytest.raises(HeadlightError, match=r"no head 2\.0"):
        score_agreements({"flap": SCORES}, [Head(2, 0)])


def test_the_toy_circuit_agrees_with_itself_and_its_key(toy_model):
    known = json.loads((TOY_FOLDER / "circuit.json").read_text(encoding="utf-8"))
    circuit = parse_circuit(known, toy_model.n_layers, toy_model.n_heads)
    same = with_circuit(circuit, circuit, "itself")
    assert same.edges is not None
    [key] = answer_keys("toy-induction", "induction-random")
    for over in (same.heads, same.edges, with_key(circuit, key).heads):
        assert (over.precision, over.recall, over.jaccard) == (1, 1, 1)


def test_a_wrong_circuit_does_not_agree():
    right = Circuit((Head(0, 1), Head(1, 2)), (Edge(Head(1, 2), None, Input.LOGITS, -1.0),), 2, 12)
    wrong = Circuit((Head(0, 3), Head(1, 2)), (Edge(Head(0, 3), None, Input.LOGITS, -1.0),), 2, 12)
    found = with_circuit(wrong, right, "the right one")
    assert (found.heads.precision, found.heads.recall, found.heads.jaccard) == (0.5, 0.5, pytest.approx(1 / 3))
    assert found.edges is not None and found.edges.recall == 0
    with pytest.raises(HeadlightError, match="one model"):
        with_circuit(right, Circuit((), (), 2, 8), "another")
