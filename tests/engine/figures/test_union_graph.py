"""Two circuits in one graph, and ranks against each other: which side is which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.circuit import Circuit, Edge, Input
from engine.figures import theme
from engine.figures.ranks import rank_figure
from engine.figures.theme import traces
from engine.figures.union_graph import BOTH, LEFT, RIGHT, side_colour, union_figure
from engine.heads import Head
from engine.views.compare import RankMove
from tests.engine.figures.made_up import A_CIRCUIT
from tests.engine.figures.test_graph import named

OTHER = Circuit(
    heads=(Head(0, 1), Head(3, 3), Head(4, 2)),
    edges=(
        Edge(Head(4, 2), None, Input.LOGITS, 0.2),
        Edge(Head(0, 1), Head(4, 2), Input.Q, -0.1),
        Edge(Head(3, 3), Head(4, 2), Input.V, -0.3),
    ),
    n_layers=6,
    n_heads=4,
)


def sides(figure) -> dict[str, int]:
    """How many edges are drawn for each side."""
    counts = dict.fromkeys((BOTH, LEFT, RIGHT), 0)
    for trace in traces(figure):
        if trace.name == "edges":
            counts[trace.meta["side"]] += trace.meta["edges"]
    return counts


def nodes(figure) -> dict[str, list[str]]:
    return {trace.name: list(trace.text) for trace in traces(figure) if trace.legendgroup and "lines" not in trace.mode}


@pytest.mark.parametrize("dark", [False, True])
def test_each_node_and_edge_is_on_its_side(dark):
    figure = union_figure(A_CIRCUIT, OTHER, dark=dark)
    assert sides(figure) == {BOTH: 2, LEFT: 3, RIGHT: 1}
    assert nodes(figure) == {"both: 2": ["0.1", "4.2"], "left only: 2": ["2.0", "2.3"], "right only: 1": ["3.3"]}
    assert len({side_colour(side, dark) for side in (BOTH, LEFT, RIGHT)}) == 3


def test_sides_differ_in_shape_and_dash_too():
    figure = union_figure(A_CIRCUIT, OTHER, dark=False)
    symbols = {trace.marker.symbol for trace in traces(figure) if trace.name.startswith((BOTH, LEFT, RIGHT))}
    dashes = {trace.meta["side"]: trace.line.dash for trace in traces(figure) if trace.name == "edges"}
    assert len(symbols) == 3 and len(set(dashes.values())) == 3


def test_an_edge_says_its_effect_in_both_runs():
    texts = named(union_figure(A_CIRCUIT, OTHER, dark=False), "edge targets").text
    assert any("4.2 → the logits" in text and "left: -0.800" in text and "right: +0.200" in text for text in texts)
    assert any("3.3 → 4.2 through its v" in text and "left: no edge" in text for text in texts)


def test_swapping_the_sides_swaps_the_picture():
    figure = union_figure(OTHER, A_CIRCUIT, dark=False)
    assert sides(figure) == {BOTH: 2, LEFT: 1, RIGHT: 3}


def test_a_selected_head_is_framed_and_other_edges_step_back():
    figure = union_figure(A_CIRCUIT, OTHER, dark=False, selected=Head(3, 3))
    assert len(named(figure, "selected").x) == 1
    opacity = [float(t.line.color.rsplit(",", 1)[1][:-1]) for t in traces(figure) if t.name == "edges"]
    assert opacity.count(0.75) == 1 and set(opacity) == {0.75, 0.12}
    gone = union_figure(A_CIRCUIT, OTHER, dark=False, selected=Head(5, 0))
    assert len(named(gone, "selected").x) == 0


def test_two_empty_circuits_are_a_hint():
    nothing = replace(A_CIRCUIT, heads=(), edges=())
    figure = union_figure(nothing, nothing, dark=False)
    assert any("Neither run" in note.text for note in figure.layout.annotations)


def test_ranks_stand_in_order_with_their_numbers():
    moves = (RankMove(Head(0, 1), 1, 9), RankMove(Head(2, 0), 2, 2), RankMove(Head(2, 3), 120, 1))
    figure = rank_figure(moves, dark=False, selected=Head(2, 0))
    fell, same, rose = traces(figure)
    assert [list(line.y) for line in (fell, same, rose)] == [[0, 2], [1, 1], [2, 0]]
    assert fell.text[1].strip() == "9 · 0.1" and rose.text[0].strip() == "2.3 · 120"
    assert (fell.line.dash, rose.line.dash) == ("dot", "solid") and same.line.color == theme.ACCENT
    assert "119 up" in rose.hovertext[0] and [list(data) for data in rose.customdata] == [[2, 3]] * 2
    assert rank_figure((), dark=True).layout.annotations
