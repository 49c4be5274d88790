"""The circuit's graph: what colour, width, dash and clicks stand for."""

from __future__ import annotations

import pytest

from engine.circuit import Circuit, Edge, Input
from engine.figures import theme
from engine.figures.edges import WIDTHS, curves, edge_text, width_of
from engine.figures.graph import graph_figure, sent_effects, visible_edges
from engine.figures.theme import traces
from engine.heads import Head
from tests.engine.figures.made_up import A_CIRCUIT


def drawn(figure) -> list[tuple[str, float, bool, int]]:
    """(input, width, dashed, how many) of every trace of edges."""
    return [
        (t.meta["input"], t.line.width, t.line.dash != "solid", t.meta["edges"])
        for t in traces(figure)
        if t.name == "edges"
    ]


def named(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


def test_edges_show_input_width_and_sign():
    # Largest |effect| .8: parts 1, .125, .5, .0625, .9875 of it, in six equal steps.
    assert sorted(drawn(graph_figure(A_CIRCUIT, dark=False))) == [
        ("k", WIDTHS[0], True, 1),
        ("logits", WIDTHS[0], True, 1),
        ("logits", WIDTHS[5], False, 1),
        ("q", WIDTHS[3], False, 1),
        ("v", WIDTHS[5], False, 1),
    ]


def test_each_input_has_its_own_colour():
    assert len(set(theme.INPUT_COLOURS.values())) == len(Input)
    figure = graph_figure(A_CIRCUIT, dark=False)
    for trace in traces(figure):
        if trace.name == "edges":
            hue = theme.fade(theme.INPUT_COLOURS[Input(trace.meta["input"])], 1)
            assert trace.line.color.rsplit(",", 1)[0] == hue.rsplit(",", 1)[0]


def test_widths_grow_with_the_effect():
    assert [width_of(effect, 0.6) for effect in (0.0, -0.05, 0.11, -0.31, 0.6)] == [
        WIDTHS[0], WIDTHS[0], WIDTHS[1], WIDTHS[3], WIDTHS[5],
    ]  # fmt: skip


def test_weak_edges_are_hidden_without_moving_nodes():
    full, few = (graph_figure(A_CIRCUIT, dark=False, min_effect=limit) for limit in (0.0, 0.3))
    assert sum(count for *_, count in drawn(few)) == 3
    assert named(few, "heads").x == named(full, "heads").x
    assert len(named(few, "edge targets").x) == 3


def test_nodes_and_edges_answer_clicks_with_their_names():
    figure = graph_figure(A_CIRCUIT, dark=True)
    assert [list(data) for data in named(figure, "heads").customdata] == [[0, 1], [2, 0], [2, 3], [4, 2]]
    assert list(named(figure, "heads").text) == ["0.1", "2.0", "2.3", "4.2"]
    targets = [list(data) for data in named(figure, "edge targets").customdata]
    assert ["0.1", "4.2", "q"] in targets
    assert ["4.2", "logits", "logits"] in targets


def test_layers_go_upward_and_the_logits_are_on_top():
    figure = graph_figure(A_CIRCUIT, dark=False)
    heights = dict(zip(named(figure, "heads").text, named(figure, "heads").y, strict=True))
    assert heights == {"0.1": 0, "2.0": 1, "2.3": 1, "4.2": 2}
    logits = next(note for note in figure.layout.annotations if "logits" in note.text)
    assert logits.y == 3
    assert list(figure.layout.yaxis.ticktext) == ["layer 0", "layer 2", "layer 4"]


def test_hover_of_an_edge_gives_effect_sign_and_sharing():
    texts = {edge.input: edge_text(edge) for edge in A_CIRCUIT.edges}
    assert "effect -0.400: patching it lowers the metric" in texts[Input.Q]
    assert "raises" in texts[Input.K]
    assert "shared" in texts[Input.K]
    assert "shared" not in texts[Input.Q]


def test_node_colours_are_the_summed_effects_on_a_symmetric_range():
    # 2.0 sends .1 to the logits and .05 to 4.2's k.
    assert sent_effects(A_CIRCUIT) == pytest.approx(
        {Head(0, 1): -0.4, Head(2, 0): 0.15, Head(2, 3): -0.79, Head(4, 2): -0.8}
    )
    marker = named(graph_figure(A_CIRCUIT, dark=False), "heads").marker
    assert list(marker.color) == pytest.approx([-0.4, 0.15, -0.79, -0.8])
    assert (marker.cmin, marker.cmax) == (-0.8, 0.8)
    custom = graph_figure(A_CIRCUIT, dark=False, node_values={Head(2, 0): 2.0}, value_name="C-FLAP")
    assert list(named(custom, "heads").marker.color) == [0.0, 2.0, 0.0, 0.0]


def test_selecting_a_head_frames_it_and_fades_the_edges_of_others():
    figure = graph_figure(A_CIRCUIT, dark=False, selected=Head(0, 1))
    frame = named(figure, "selected")
    assert len(frame.x) == 1
    faded = sum(t.meta["edges"] for t in traces(figure) if t.name == "edges" and t.line.color.endswith(",0.12)"))
    assert faded == 4


def test_edges_of_heads_not_in_the_circuit_yet_are_left_out():
    unfinished = Circuit((Head(4, 2),), A_CIRCUIT.edges, 6, 4)
    assert [edge.sender for edge in visible_edges(unfinished, 0.0)] == [Head(4, 2)]


def test_an_empty_circuit_says_so():
    figure = graph_figure(Circuit((), (), 6, 4), dark=False)
    assert any("No head found" in note.text for note in figure.layout.annotations)


def test_curves_join_their_ends_and_leave_upward():
    [(xs, ys)] = curves([Edge(Head(1, 0), Head(4, 2), Input.Q, -1.0)], {Head(1, 0): (0.0, 1.0), Head(4, 2): (2.0, 4.0)})
    assert (xs[0], ys[0], xs[-1], ys[-1]) == (0.0, 1.0, 2.0, 4.0)
    assert list(ys) == sorted(ys)


@pytest.mark.parametrize("dark", [False, True])
def test_a_circuit_of_three_hundred_heads_can_be_drawn(dark: bool):
    heads = tuple(Head(layer, index) for layer in range(30) for index in range(10))
    figure = graph_figure(Circuit(heads, (), 30, 10), dark=dark)
    assert len(named(figure, "heads").x) == 300


def test_parts_of_a_circuit_have_every_head_in_the_same_place():
    heads = A_CIRCUIT.heads[:-1]
    part = Circuit(heads, tuple(e for e in A_CIRCUIT.edges if e.sender in heads and e.receiver in (None, *heads)), 4, 4)
    whole, alone = named(graph_figure(A_CIRCUIT, dark=False), "heads"), graph_figure(part, dark=False, within=A_CIRCUIT)
    places = {label: (x, y) for label, x, y in zip(whole.text, whole.x, whole.y, strict=True)}
    shown = named(alone, "heads")
    assert len(shown.text) == len(heads)
    assert all(places[label] == (x, y) for label, x, y in zip(shown.text, shown.x, shown.y, strict=True))
    assert alone.layout.xaxis.range == graph_figure(A_CIRCUIT, dark=False).layout.xaxis.range
