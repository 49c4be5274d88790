"""What the graph knows of how often a circuit is found again."""

from __future__ import annotations

from dataclasses import replace

from engine.circuit import Circuit, Edge, Input
from engine.heads import Head
from engine.trust.draws import Plan
from engine.trust.frequency import CircuitFrequency
from engine.trust.overlap import name_of
from pages.shared.found_again import plan_of, present_part
from pages.shared.view import View

A, B, C = Head(0, 1), Head(1, 2), Head(1, 0)
KEY, OUT, OTHER = Edge(A, B, Input.K, -0.5), Edge(B, None, Input.LOGITS, -1.0), Edge(C, None, Input.LOGITS, 0.1)
CIRCUIT = Circuit((A, C, B), (KEY, OUT, OTHER), 2, 3)
FOUND = CircuitFrequency({A: 1.0, B: 0.7, C: 0.3}, {name_of(KEY): 0.6, name_of(OUT): 0.7, name_of(OTHER): 0.3}, 10)


def test_the_plan_is_what_the_view_asks_for():
    assert plan_of(View(resamples=3, seeds=0, templates=False)) == Plan(3, 0, False)
    assert plan_of(View(resamples=0, seeds=0, templates=False)) is None


def test_what_enough_runs_found_is_left():
    def left(present: float, **also) -> tuple:
        part = present_part(CIRCUIT, FOUND, View(present=present, **also))
        return part.heads, part.edges

    assert left(0.0) == (CIRCUIT.heads, CIRCUIT.edges) and left(0.3) == (CIRCUIT.heads, CIRCUIT.edges)
    assert left(0.6) == ((A, B), (KEY, OUT)) and left(0.7) == ((A, B), (OUT,))
    assert left(0.75) == ((A,), ()) and left(0.7, pins=("1.0",)) == ((A, C, B), (OUT,))
    assert present_part(CIRCUIT, None, View(present=0.9)) == CIRCUIT


def test_an_edge_goes_with_its_ends():
    rare = replace(FOUND, heads={**FOUND.heads, A: 0.1})
    assert present_part(CIRCUIT, rare, View(present=0.5)).edges == (OUT,)
