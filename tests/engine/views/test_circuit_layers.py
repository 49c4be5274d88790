"""Bundles and flows, added up by hand."""

from __future__ import annotations

import pytest

from engine.circuit import Circuit, Edge, Input
from engine.heads import Head
from engine.views.circuit_layers import Bundle, Flow, by_layer, every_head, is_crowded, strength
from tests.engine.figures.made_up import A_CIRCUIT, a_large_circuit

LOW = (Head(0, 0), Head(0, 1), Head(0, 2))
HIGH = (Head(1, 0), Head(1, 1))
CIRCUIT = Circuit(
    (*LOW, *HIGH),
    (
        Edge(LOW[0], HIGH[0], Input.Q, -0.5),
        Edge(LOW[1], HIGH[1], Input.Q, 0.2),
        Edge(LOW[1], HIGH[1], Input.V, -0.1),
        Edge(LOW[2], None, Input.LOGITS, -0.3),
        Edge(HIGH[0], None, Input.LOGITS, -0.8),
        Edge(HIGH[1], None, Input.LOGITS, -0.1),
    ),
    2,
    3,
)


def test_layers_become_bundles_and_their_edges_flows_by_input():
    low, high = Bundle(0, LOW), Bundle(1, HIGH)
    seen = by_layer(CIRCUIT)
    assert seen.nodes == (low, high)
    assert [link.count for link in seen.links if isinstance(link, Flow)] == [2, 1, 1, 2]
    flows = {(link.sender.layer, link.input): link for link in seen.links}
    q = flows[0, Input.Q]
    assert isinstance(q, Flow) and (q.receiver, q.count, q.strongest) == (high, 2, 0.5)
    assert (q.effect, q.strength) == (pytest.approx(-0.3), pytest.approx(0.7))
    logits = flows[1, Input.LOGITS]
    assert isinstance(logits, Flow) and logits.receiver is None and logits.strength == pytest.approx(0.9)


def test_an_opened_layer_shows_its_heads_and_edges_between_single_heads_stay():
    assert by_layer(CIRCUIT, opened=[0, 1]) == every_head(CIRCUIT)
    half = by_layer(CIRCUIT, opened=[1])
    assert half.nodes == (Bundle(0, LOW), *HIGH)
    assert Edge(HIGH[0], None, Input.LOGITS, -0.8) in half.links
    assert sum(isinstance(link, Flow) for link in half.links) == 4


def test_heads_apart_leave_their_bundle_and_a_bundle_of_one_is_its_head():
    assert set(by_layer(CIRCUIT, apart=[LOW[1]]).nodes) == {Bundle(0, (LOW[0], LOW[2])), LOW[1], Bundle(1, HIGH)}
    assert by_layer(CIRCUIT, apart=[HIGH[0]]).nodes == (Bundle(0, LOW), *HIGH)
    assert by_layer(A_CIRCUIT).nodes == (Head(0, 1), Bundle(2, (Head(2, 0), Head(2, 3))), Head(4, 2))


@pytest.mark.parametrize("opened", [[], [3], range(30)])
def test_no_effect_is_lost_or_counted_twice(opened):
    circuit = a_large_circuit(200)
    links = by_layer(circuit, opened).links
    assert sum(map(strength, links)) == pytest.approx(sum(abs(edge.effect) for edge in circuit.edges))
    assert sum(link.effect for link in links) == pytest.approx(sum(edge.effect for edge in circuit.edges))
    assert sum(link.count if isinstance(link, Flow) else 1 for link in links) == len(circuit.edges)


def test_crowded_is_more_than_sixty_heads_or_two_hundred_fifty_edges():
    assert not is_crowded(a_large_circuit(40)) and is_crowded(a_large_circuit(61))
    assert is_crowded(Circuit(HIGH, CIRCUIT.edges * 42, 2, 3))
