"""One step of a search drawn: what was measured, and what it adds to a graph whose nodes stay in place."""

from __future__ import annotations

from dataclasses import replace

import torch

from engine.circuit import Circuit, Input
from engine.figures.graph import graph_figure
from engine.figures.step import step_graph, step_map
from engine.figures.theme import traces
from engine.heads import Head
from engine.search.path_patching import SearchStep
from tests.engine.figures.made_up import A_CIRCUIT
from tests.engine.figures.test_graph import named

NAN, INF = float("nan"), float("inf")
HEIGHTS = (100, 2000)
STEP = SearchStep(
    receivers=(Head(2, 1),),
    input=Input.V,
    effects=torch.tensor([[0.0, -0.5], [0.25, NAN], [NAN, NAN]]),
    estimated=torch.tensor([[True, False], [False, False], [False, False]]),
    thresholds=torch.tensor([0.3, 0.3, INF]),
    important=(Head(0, 1),),
)


def at(figure, name: str) -> list[tuple[int, int]]:
    """(layer, head) of the marks of one kind."""
    trace = named(figure, name)
    return list(zip(trace.y, trace.x, strict=True))


def test_what_was_not_measured_is_no_tile_and_not_an_effect_of_zero():
    figure = step_map(STEP, dark=False)
    assert [list(row) for row in traces(figure)[0].z] == [[0.0, -0.5], [0.25, None], [None, None]]
    assert at(figure, "not measured") == [(1, 1), (2, 0)] and at(figure, "receiver") == [(2, 1)]
    assert at(figure, "estimate") == [(0, 0)] and at(figure, "stands out") == [(0, 1)]


def test_each_head_says_what_it_is_and_answers_clicks():
    targets = named(step_map(STEP, dark=True), "heads")
    texts = dict(zip(map(tuple, targets.customdata), targets.text, strict=True))
    assert "+0.0000 (estimate)" in texts[0, 0] and "-0.5000 (exact)<br>stands out" in texts[0, 1]
    assert "not measured" in texts[1, 1] and "the receiver" in texts[2, 1]


def test_the_legend_tells_only_of_marks_there_are():
    told = [trace.name for trace in traces(step_map(replace(STEP, important=()), dark=False)) if trace.showlegend]
    assert told == ["not measured", "estimate", "receiver"]


def part(n_edges: int) -> Circuit:
    """The first edges of the made-up circuit, from the logits back, with their senders."""
    edges = A_CIRCUIT.edges[:n_edges]
    return replace(A_CIRCUIT, edges=edges, heads=tuple(sorted({edge.sender for edge in edges})))


def test_nodes_stand_where_the_whole_graph_has_them():
    whole, early = graph_figure(A_CIRCUIT, dark=False), step_graph(
        part(2), part(2).edges, (), Input.LOGITS, whole=A_CIRCUIT, dark=False, heights=HEIGHTS
    )  # fmt: skip
    place = dict(zip(named(whole, "heads").text, zip(named(whole, "heads").x, named(whole, "heads").y, strict=True),
                     strict=True))  # fmt: skip
    heads = named(early, "heads")
    assert list(heads.text) == ["2.0", "4.2"]
    assert [place[name] for name in heads.text] == list(zip(heads.x, heads.y, strict=True))
    later = named(early, "found later")
    assert list(zip(later.x, later.y, strict=True)) == [place["0.1"], place["2.3"]]
    assert early.layout.height == whole.layout.height and early.layout.xaxis.range == whole.layout.xaxis.range


def test_only_new_edges_are_bright_and_the_receiver_is_framed():
    step = part(3)
    figure = step_graph(step, step.edges[2:], (Head(4, 2),), Input.Q, whole=A_CIRCUIT, dark=False, heights=HEIGHTS)
    shades = {trace.meta["input"]: float(trace.line.color.rsplit(",", 1)[1][:-1])
              for trace in traces(figure) if trace.name == "edges"}  # fmt: skip
    assert shades["q"] > 0.5 and shades["logits"] < shades["q"] / 3
    heads, frame = named(figure, "heads"), named(figure, "receiver")
    assert (frame.x[0], frame.y[0]) == (heads.x[list(heads.text).index("4.2")], heads.y[list(heads.text).index("4.2")])


def test_at_the_first_step_the_logits_are_framed():
    figure = step_graph(part(0), (), (), Input.LOGITS, whole=A_CIRCUIT, dark=True, heights=HEIGHTS)
    assert list(named(figure, "receiver").y) == [3] and len(named(figure, "found later").x) == 4
