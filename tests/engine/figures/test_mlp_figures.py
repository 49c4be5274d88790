"""MLPs in the figures, tables and exports: squares of their own, never taken for a head."""

import pytest
import torch

from engine.circuit import Circuit, Edge, Input, union
from engine.figures import theme
from engine.figures.circuit_map import circuit_map
from engine.figures.effects import effects_figure, strongest
from engine.figures.export import circuit_mermaid
from engine.figures.graph import graph_figure, places_of, rows_of
from engine.figures.node_look import Look
from engine.figures.step import step_map
from engine.figures.tables import edge_rows, effect_rows
from engine.figures.union_graph import union_figure
from engine.heads import Head
from engine.nodes import Mlp
from engine.search.path_patching import SearchStep
from engine.views.circuit_filter import Filter, filtered, neighbours
from engine.views.circuit_layers import Bundle, by_layer, every_head

CIRCUIT = Circuit(
    heads=(Head(0, 1), Head(2, 0), Head(2, 3)),
    edges=(
        Edge(Head(2, 0), None, Input.LOGITS, 0.1),
        Edge(Mlp(2), None, Input.LOGITS, -0.8),
        Edge(Head(0, 1), Mlp(0), Input.MLP, -0.2),
        Edge(Mlp(0), Head(2, 0), Input.K, -0.4),
        Edge(Head(2, 3), Mlp(2), Input.MLP, -0.3),
    ),
    n_layers=3,
    n_heads=4,
    mlps=(Mlp(0), Mlp(2)),
)
EFFECTS = torch.tensor([[0.1, 0.0, 0.0, 0.0, -0.5], [0.0, 0.9, 0.0, 0.0, 0.2], [float("nan")] * 5])


def a_step():
    nothing = torch.zeros_like(EFFECTS, dtype=torch.bool)
    limits = torch.tensor([0.3, 0.3, float("inf")])
    return SearchStep((Mlp(2),), Input.MLP, EFFECTS, nothing, limits, (Mlp(0), Head(1, 1)), mlps=True)


def trace_named(figure, name):
    return next(trace for trace in theme.traces(figure) if trace.name == name)


def test_an_mlp_has_a_row_of_its_own_above_its_layers_heads():
    assert rows_of(CIRCUIT) == [[Head(0, 1)], [Mlp(0)], [Head(2, 0), Head(2, 3)], [Mlp(2)], ["logits"]]
    places = places_of(CIRCUIT)
    assert places[Head(2, 3)][1] < places[Mlp(2)][1]


@pytest.mark.parametrize("dark", [True, False])
def test_the_graph_draws_mlps_as_squares(dark):
    figure = graph_figure(CIRCUIT, dark=dark)
    mlps = trace_named(figure, "MLPs")
    assert list(mlps.text) == ["m0", "m2"] and mlps.marker.symbol == "square" and mlps.customdata is None
    assert "MLP m2" in mlps.hovertext[1] and "-0.800" in mlps.hovertext[1]
    assert list(trace_named(figure, "heads").text) == ["0.1", "2.0", "2.3"]
    assert list(figure.layout.yaxis.ticktext) == ["layer 0", "MLP 0", "layer 2", "MLP 2"]
    assert ["0.1", "m0", "mlp"] in [list(data) for data in trace_named(figure, "edge targets").customdata]
    into = trace_named(figure, "into mlp")
    assert into.line.color == theme.INPUT_COLOURS[Input.MLP]
    assert any("MLP m0" in text for text in trace_named(figure, "edge targets").text)


def test_without_mlps_the_graph_has_no_such_trace():
    plain = Circuit(CIRCUIT.heads, CIRCUIT.edges[:1], 3, 4)
    assert "MLPs" not in [trace.name for trace in theme.traces(graph_figure(plain, dark=False))]


@pytest.mark.parametrize("by_role", [True, False])
def test_the_map_draws_them_too_and_never_bundles_them(by_role):
    overview = every_head(CIRCUIT)
    figure = circuit_map(overview, CIRCUIT, Look(dark=False, by_role=by_role))
    assert list(trace_named(figure, "MLPs").text) == ["m0", "m2"]
    layers = by_layer(CIRCUIT)
    assert layers.nodes == (Head(0, 1), Mlp(0), Bundle(2, (Head(2, 0), Head(2, 3))), Mlp(2))
    bundled = circuit_map(layers, CIRCUIT, Look(dark=True, by_role=by_role))
    assert list(bundled.layout.yaxis.ticktext) == ["layer 0", "MLP 0", "layer 2", "MLP 2"]


def test_filters_keep_mlps_that_have_an_edge_left():
    part = filtered(CIRCUIT, Filter(inputs=frozenset({Input.LOGITS})))
    assert part.heads == (Head(2, 0),) and part.mlps == (Mlp(2),)
    connected = filtered(CIRCUIT, Filter(weakest=0.25, connected=True))
    assert (connected.heads, connected.mlps) == ((Head(2, 3),), (Mlp(2),))
    assert neighbours(CIRCUIT, Mlp(2)) == {Head(2, 3)}


def test_exports_bring_them_back():
    mermaid = circuit_mermaid(CIRCUIT)
    assert 'm2["m2"]' in mermaid and '  h2_3 -->|"mlp -0.300"| m2' in mermaid
    assert edge_rows(CIRCUIT)[0] == {
        "sender": "m2", "receiver": "logits", "input": "logits", "effect": -0.8, "shared": False
    }


def test_the_last_column_of_a_step_is_the_mlps():
    assert strongest(EFFECTS, 3, mlps=True) == [Head(1, 1), Mlp(0), Mlp(1)]
    step = a_step()
    rows = effect_rows(step.effects, step.estimated, step.thresholds, step.important, step.mlps)
    assert len(rows) == 10 and [row["sender"] for row in rows if row["important"]] == ["m0", "1.1"]
    bars = trace_named(effects_figure(EFFECTS, step.estimated, step.thresholds, step.important, dark=False, mlps=True),
                       "effects")
    assert list(bars.x)[:3] == ["1.1", "m0", "m1"] and list(bars.customdata)[:3] == [[1, 1], None, None]


def test_the_map_of_a_step_names_the_column_and_sends_no_click_from_it():
    figure = step_map(a_step(), dark=False)
    assert figure.layout.xaxis.ticktext[-1] == "MLP" and figure.layout.xaxis.tickvals[-1] == 4
    targets = trace_named(figure, "heads")
    assert list(targets.customdata)[:5] == [[0, 0], [0, 1], [0, 2], [0, 3], None]
    assert "MLP m0" in targets.text[4] and "head 1.0" in targets.text[5]
    assert list(trace_named(figure, "stands out").x) == [4, 1] and list(trace_named(figure, "receiver").x) == [4]


def test_two_circuits_side_by_side():
    other = Circuit((Head(0, 1),), (Edge(Mlp(1), None, Input.LOGITS, -0.5),), 3, 4, (Mlp(1),))
    assert union(CIRCUIT, other).mlps == (Mlp(0), Mlp(1), Mlp(2))
    figure = union_figure(CIRCUIT, other, dark=False)
    right = trace_named(figure, "right only: 1")
    assert list(right.text) == ["m1"] and list(right.customdata) == [None] and list(right.hovertext) == ["MLP"]
    assert list(figure.layout.yaxis.ticktext) == ["layer 0", "MLP 0", "MLP 1", "layer 2", "MLP 2"]
