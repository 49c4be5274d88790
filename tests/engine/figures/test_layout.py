"""Node places: fewer crossings on known cases, rows in order, nodes apart."""

from __future__ import annotations

import itertools
from fractions import Fraction
from random import Random

import pytest

from engine.figures.layout import count_crossings, order_rows, place


def test_crossings_are_counted_once_a_pair():
    rows = [["a", "b"], ["c", "d"]]
    assert count_crossings(rows, [("a", "d"), ("b", "c")]) == 1
    assert count_crossings(rows, [("a", "c"), ("b", "d")]) == 0
    assert count_crossings(rows, [("a", "c"), ("a", "d")]) == 0  # they only meet
    # Three parallel wires reversed cross in all three pairs.
    assert count_crossings([["a", "b", "c"], ["x", "y", "z"]], [("a", "z"), ("b", "y"), ("c", "x")]) == 3


def test_an_edge_over_two_rows_crosses_what_lies_between():
    rows = [["a", "b"], ["c", "d"], ["e"]]
    # a is at -.5, e at 0: the long edge is at -.25 in the middle row, d to the right of it.
    assert count_crossings(rows, [("a", "e"), ("b", "d")]) == 0
    assert count_crossings(rows, [("a", "e"), ("b", "c")]) == 1


def test_edges_at_different_heights_do_not_cross():
    # Lengthened, both would meet half way between the second and the third row.
    rows = [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]]
    assert count_crossings(rows, [("a", "d"), ("f", "g")]) == 0


def test_a_tangle_that_can_be_undone_is_undone():
    rows = [["a", "b", "c"], ["x", "y", "z"], ["s", "t", "u"]]
    edges = [("a", "z"), ("b", "y"), ("c", "x"), ("x", "s"), ("y", "u"), ("z", "t")]
    assert count_crossings(rows, edges) == 4
    assert count_crossings(order_rows(rows, edges), edges) == 0


def test_ordering_keeps_the_rows_and_never_adds_crossings():
    rows = [[f"{layer}.{i}" for i in range(5)] for layer in range(4)]
    edges = [
        (f"{low}.{i}", f"{high}.{(3 * i + low) % 5}")
        for low, high in itertools.combinations(range(4), 2)
        for i in range(5)
    ]
    ordered = order_rows(rows, edges)
    assert [sorted(row) for row in ordered] == [sorted(row) for row in rows]
    assert count_crossings(ordered, edges) < count_crossings(rows, edges)


def test_places_keep_neighbours_apart_and_rows_level():
    rows = [["a", "b", "c"], ["x", "y"], ["top"]]
    edges = [("a", "y"), ("b", "x"), ("c", "x"), ("x", "top"), ("y", "top"), ("a", "top")]
    places = place(rows, edges)
    for number, row in enumerate(rows):
        assert {places[node][1] for node in row} == {number}
        xs = sorted(places[node][0] for node in row)
        assert all(right - left >= 1 - 1e-9 for left, right in itertools.pairwise(xs))


def test_a_lone_node_stands_over_its_neighbours():
    places = place([["a", "b", "c"], ["x"]], [("c", "x")])
    assert places["x"][0] == pytest.approx(places["c"][0])


def test_a_node_without_edges_and_an_empty_graph_have_places():
    assert place([["top"]], []) == {"top": (0.0, 0.0)}
    assert set(place([["a", "b"], ["top"]], [])) == {"a", "b", "top"}


def test_crossings_are_the_same_however_many_edges_are_compared_at_a_time(monkeypatch):
    rng = Random(0)
    rows = [[f"{y}.{x}" for x in range(6)] for y in range(5)]
    edges = []
    for _ in range(40):
        low, high = sorted(rng.sample(range(5), 2))
        edges.append((rng.choice(rows[low]), rng.choice(rows[high])))
    whole = count_crossings(rows, edges)
    x = {node: i for row in rows for i, node in enumerate(row)}
    by_hand = sum(crosses(first, second, x) for first, second in itertools.combinations(dict.fromkeys(edges), 2))
    monkeypatch.setattr("engine.figures.layout.BLOCK", 7)
    assert whole == count_crossings(rows, edges) == by_hand > 0


def crosses(first, second, x) -> bool:
    """Two straight upward edges, in fractions: no rounding decides."""

    def at(edge, height: int) -> Fraction:
        (low, high), (start, end) = (int(node[0]) for node in edge), (x[node] for node in edge)
        return start + Fraction(end - start) * (height - low) / (high - low)

    low = max(int(edge[0][0]) for edge in (first, second))
    high = min(int(edge[1][0]) for edge in (first, second))
    return low < high and (at(first, low) - at(second, low)) * (at(first, high) - at(second, high)) < 0
