"""Which heads and edges are left, worked out by hand on 0.1 → 4.2 → logits, 2.0 → 4.2, 2.0 → logits, 2.3 → 4.2."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.circuit import Circuit, Edge, Input
from engine.heads import Head
from engine.views.circuit_filter import Filter, Sign, filtered, neighbours
from tests.engine.figures.made_up import A_CIRCUIT


def left(chosen: Filter, circuit: Circuit = A_CIRCUIT) -> tuple[list[str], list[str]]:
    part = filtered(circuit, chosen)
    return [str(head) for head in part.heads], [f"{e.sender}-{e.receiver}.{e.input}" for e in part.edges]


def test_without_filters_everything_is_left():
    assert filtered(A_CIRCUIT, Filter()) == A_CIRCUIT


@pytest.mark.parametrize(
    ("chosen", "heads", "edges"),
    [
        (Filter(weakest=0.5), ["2.3", "4.2"], ["4.2-None.logits", "2.3-4.2.v"]),
        (Filter(weakest=0.4), ["0.1", "2.3", "4.2"], ["4.2-None.logits", "0.1-4.2.q", "2.3-4.2.v"]),
        (Filter(inputs=frozenset({Input.K})), ["2.0", "4.2"], ["2.0-4.2.k"]),
        (Filter(sign=Sign.RAISES), ["2.0", "4.2"], ["2.0-None.logits", "2.0-4.2.k"]),
        (Filter(sign=Sign.LOWERS, inputs=frozenset({Input.Q})), ["0.1", "4.2"], ["0.1-4.2.q"]),
        (Filter(layers=(0, 2)), ["2.0"], ["2.0-None.logits"]),
        (Filter(layers=(2, 4), inputs=frozenset({Input.Q})), [], []),
        (Filter(strongest=2), ["2.3", "4.2"], ["4.2-None.logits", "2.3-4.2.v"]),
        (Filter(strongest=1, sign=Sign.RAISES), ["2.0"], ["2.0-None.logits"]),
        (Filter(inputs=frozenset({Input.Q}), pinned=frozenset({Head(2, 0)})), ["0.1", "2.0", "4.2"], ["0.1-4.2.q"]),
    ],
)
def test_each_filter_leaves_what_it_says(chosen: Filter, heads: list[str], edges: list[str]):
    assert left(chosen) == (heads, edges)


def test_connected_drops_what_no_longer_reaches_the_logits():
    letters = frozenset({Input.Q, Input.K, Input.V})
    assert left(Filter(inputs=letters))[0] == ["0.1", "2.0", "2.3", "4.2"]
    assert left(Filter(inputs=letters, connected=True)) == ([], [])
    without_k = frozenset({Input.Q, Input.V, Input.LOGITS})
    assert left(Filter(inputs=without_k, connected=True, weakest=0.2))[0] == ["0.1", "2.3", "4.2"]
    chain = Circuit(
        (Head(0, 0), Head(1, 0), Head(2, 0)),
        (
            Edge(Head(0, 0), Head(1, 0), Input.V, -0.9),
            Edge(Head(1, 0), Head(2, 0), Input.V, -0.1),
            Edge(Head(2, 0), None, Input.LOGITS, -0.9),
        ),
        3,
        1,
    )
    assert left(Filter(connected=True), chain)[0] == ["0.0", "1.0", "2.0"]
    assert left(Filter(connected=True, weakest=0.5), chain) == (["2.0"], ["2.0-None.logits"])
    assert left(Filter(weakest=0.5), chain)[0] == ["0.0", "1.0", "2.0"]


def test_heads_that_never_had_an_edge_stay_in_their_layers():
    lonely = replace(A_CIRCUIT, heads=(*A_CIRCUIT.heads, Head(5, 0)))
    assert "5.0" in left(Filter(weakest=0.5), lonely)[0]
    assert "5.0" not in left(Filter(layers=(0, 4)), lonely)[0]
    assert "5.0" not in left(Filter(connected=True), lonely)[0]


def test_neighbours_are_the_heads_an_edge_away():
    assert neighbours(A_CIRCUIT, Head(4, 2)) == {Head(0, 1), Head(2, 0), Head(2, 3)}
    assert neighbours(A_CIRCUIT, Head(2, 0)) == {Head(4, 2)}
