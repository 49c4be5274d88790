"""Claims and verdicts by hand."""

import math

import pytest
import torch

from engine.circuit import Circuit, Edge, Input
from engine.evaluation.bootstrap import Interval
from engine.heads import Head
from engine.trust.claim import Claim, Verdict, claim_of, control_of, target_name, verdict_of

A, B, C = Head(0, 1), Head(1, 0), Head(1, 1)


def circuit(*edges: Edge) -> Circuit:
    heads = {head for edge in edges for head in (edge.sender, edge.receiver) if head is not None}
    return Circuit(tuple(sorted(heads)), edges, 2, 4)


SHARED = circuit(
    Edge(A, B, Input.K, -0.2, shared=True), Edge(A, C, Input.K, -0.2, shared=True), Edge(A, B, Input.Q, 0.05),
    Edge(A, None, Input.LOGITS, -0.1), Edge(B, None, Input.LOGITS, 0.3), Edge(B, None, Input.LOGITS, 0.3),
)  # fmt: skip


def test_a_heads_claim_counts_a_shared_edge_once():
    claim = claim_of(SHARED, A, group=2)
    assert claim == Claim(True, pytest.approx(-0.25), -1)  # -.2 + .05 - .1
    assert claim_of(SHARED, A, group=1).effect == pytest.approx(-0.45)  # two KV heads: two edges
    assert claim_of(SHARED, B, group=2) == Claim(True, pytest.approx(0.3), 1)


def test_without_effects_or_with_opposite_ones_the_sign_is_open():
    bare = claim_of(SHARED, C, group=2)
    assert bare.matters and math.isnan(bare.effect) and bare.sign == 0
    mixed = circuit(Edge(A, None, Input.LOGITS, 0.3), Edge(A, B, Input.Q, -0.2))
    assert claim_of(mixed, A, group=1) == Claim(True, pytest.approx(0.1), 0)  # .1 of .5
    outside = claim_of(SHARED, Head(0, 3), group=2)
    assert not outside.matters and math.isnan(outside.effect) and outside.sign == 0


def test_an_edges_claim_is_its_effect():
    assert claim_of(SHARED, (A, B, "q"), group=2) == Claim(True, 0.05, 1)
    absent = claim_of(SHARED, (A, B, "v"), group=2)
    assert not absent.matters and math.isnan(absent.effect)
    assert target_name((A, B, "q")) == "0.1 → 1.0.q" and target_name((A, None, "logits")) == "0.1 → logits"


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 16, 1000)


NEGATIVE, LARGER, NO_LARGER = Claim(True, -0.3, -1), interval(0.1, 0.2), interval(-0.1, 0.2)


@pytest.mark.parametrize(
    ("claim", "effect", "difference", "verdict"),
    [
        (NEGATIVE, interval(-0.4, -0.2), LARGER, Verdict.CONFIRMED),
        (NEGATIVE, interval(-0.4, -0.2), None, Verdict.CONFIRMED),
        (NEGATIVE, interval(-0.4, -0.2), NO_LARGER, Verdict.INSIDE_NOISE),
        (NEGATIVE, interval(-0.4, 0.01), LARGER, Verdict.INSIDE_NOISE),
        (NEGATIVE, interval(0.1, 0.3), NO_LARGER, Verdict.CONTRADICTS),
        (NEGATIVE, interval(-0.1, 0.3), LARGER, Verdict.INSIDE_NOISE),
        (Claim(True, 0.1, 0), interval(0.1, 0.3), LARGER, Verdict.CONFIRMED),
        (Claim(False, math.nan, 0), interval(-0.4, -0.2), LARGER, Verdict.CONTRADICTS),
        (Claim(False, math.nan, 0), interval(-0.4, -0.2), NO_LARGER, Verdict.INSIDE_NOISE),
        (Claim(False, math.nan, 0), interval(-0.02, 0.3), LARGER, Verdict.INSIDE_NOISE),
        (Claim(False, math.nan, 0), interval(-0.008, -0.002), LARGER, Verdict.CONFIRMED),
        (Claim(False, math.nan, 0), interval(-0.008, 0.011), LARGER, Verdict.INSIDE_NOISE),
    ],
)
def test_verdicts(claim, effect, difference, verdict):
    assert verdict_of(claim, effect, difference, smallest=0.01) is verdict


def test_one_pair_confirms_nothing():
    one = Interval(-0.5, math.nan, math.nan, 1, 1000)
    assert verdict_of(NEGATIVE, one, one, 0.01) is Verdict.INSIDE_NOISE
    assert verdict_of(Claim(False, math.nan, 0), one, one, 0.01) is Verdict.INSIDE_NOISE


def test_the_control_is_the_nearest_norm_outside_the_circuit():
    norms = torch.tensor([1.0, 2.0, 2.1, 5.0])
    assert control_of(norms, Head(1, 2), SHARED) == Head(1, 3)  # 1.0 and 1.1 are in the circuit
    assert control_of(norms, Head(0, 1), SHARED) == Head(0, 2)
    assert control_of(norms, (A, B, "q"), SHARED) == Head(0, 2)
    whole = circuit(*(Edge(Head(1, i), None, Input.LOGITS, 0.1) for i in range(4)))
    assert control_of(norms, Head(1, 2), whole) == Head(1, 1)
    low = circuit(*(Edge(Head(0, i), B, Input.Q if i else Input.K, 0.1) for i in range(4)))
    assert control_of(norms, (Head(0, 3), B, "q"), low) == Head(0, 0)  # the one that does not send to q
    assert control_of(torch.tensor([1.0]), Head(0, 0), Circuit((), (), 1, 1)) is None
