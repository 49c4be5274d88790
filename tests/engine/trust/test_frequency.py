"""Frequencies counted by hand."""

import math

from engine.circuit import Circuit, Edge, Input
from engine.heads import Head
from engine.trust.frequency import frequency, frequency_in

A, B, C, D = Head(0, 0), Head(0, 1), Head(1, 0), Head(1, 1)
A_TO_C, B_TO_C = Edge(A, C, Input.Q, -0.2), Edge(B, C, Input.K, -0.1)
RUNS = [
    Circuit((A, C), (A_TO_C,), 2, 2),
    Circuit((A, B, C), (Edge(A, C, Input.Q, -0.7), B_TO_C), 2, 2),
    Circuit((A,), (), 2, 2),
    Circuit((A, C), (Edge(A, C, Input.V, 0.1),), 2, 2),
]


def test_shares_of_the_runs():
    found = frequency(RUNS)
    assert found.judged and found.n == 4 and found.sizes == (2, 3, 1, 2)
    assert found.heads == {A: 1.0, C: 0.75, B: 0.25} and list(found.heads) == [A, C, B]
    assert found.edges == {(A, C, "q"): 0.5, (A, C, "v"): 0.25, (B, C, "k"): 0.25}
    assert found.head(D) == 0 and found.edge((A, None, "logits")) == 0
    assert found.coin_flips == (B, C)  # a quarter and three quarters belong to them
    assert found.present(0.75) == (A, C) and found.present(0.76) == (A,)


def test_of_one_run_nothing_can_be_judged():
    one = frequency(RUNS[:1])
    assert not one.judged and math.isnan(one.head(A)) and math.isnan(one.edge((A, C, "q")))
    assert one.coin_flips == () and one.present(0.1) == () and set(one.heads) == {A, C}
    assert frequency([]).n == 0 and math.isnan(frequency([]).head(A))


def test_a_circuits_own_heads_and_edges():
    mine = frequency_in(Circuit((C, D), (A_TO_C, Edge(D, None, Input.LOGITS, 1.0)), 2, 2), frequency(RUNS))
    assert mine.heads == {C: 0.75, D: 0.0} and mine.n == 4
    assert mine.edges == {(A, C, "q"): 0.5, (D, None, "logits"): 0.0}
