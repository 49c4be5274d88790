"""Node places: fewer crossings on known cases, rows in order, nodes apart."""

from __future__ import annotations

import itertools

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
