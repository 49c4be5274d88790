"""A circuit as a graph: layers upward, logits on top (layout.py places the nodes).

* Edge colour says which input it enters (q, k, v or the logits), width is |effect|, a dashed edge is one
  whose patch raises the metric (edges.py draws them).
* Node colour is the sum of the effects of a head's outgoing edges, or values of the caller's.
* Where MLPs are nodes, they are squares in a row of their own, above the heads of their layer, which send to them.
* Only markers answer clicks: nodes carry ``customdata = [layer, head]``, and an invisible marker in the
  middle of each edge carries ``[sender, receiver, input]``, such as ``["23.0", "23.3", "q"]``; a receiver may
  be ``"logits"``.
Elsewhere MLPs are part of every path (recomputed, METHOD section 2.7) and are not drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import lru_cache

import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.figures import theme
from engine.figures.edges import (
    FADED,
    Place,
    add_edge_targets,
    add_edges,
    add_legend,
    curves,
    deciding_edges,
    edge_data,
    edge_text,
)
from engine.figures.layout import place
from engine.heads import Head
from engine.nodes import Mlp, Node, depth_of

SETTLED = 0.22  # opacity of edges that step back from new ones


def graph_figure(
    circuit: Circuit,
    *,
    dark: bool,
    min_effect: float = 0.0,
    node_values: Mapping[Node, float] | None = None,
    value_name: str = "summed effect of outgoing edges",
    selected: Head | None = None,
    within: Circuit | None = None,
    bright: Collection[Edge] | None = None,
) -> go.Figure:
    """The circuit's graph. Edges with |effect| < ``min_effect`` are hidden; nodes stay where they are.

    ``selected`` frames a head and fades the edges that do not touch it. ``node_values`` colours nodes by
    something else than ``sent_effects``; name it in ``value_name``. ``within`` is a larger circuit this one is a
    part of: places, height and widths are those of its graph. ``bright``: the only edges not faded.
    """
    whole = circuit if within is None else within
    rows, places = rows_of(whole), places_of(whole)
    figure = theme.blank(dark, _height(len(rows), len(whole.nodes)))
    shown = visible_edges(circuit, min_effect)
    largest = max((abs(edge.effect) for edge in whole.edges), default=1.0) or 1.0
    points = curves(shown, places)
    faint = FADED if bright is None else SETTLED
    add_edges(figure, shown, points, lambda edge: abs(edge.effect), largest, _fading(selected, bright), faint)
    add_edge_targets(figure, shown, points, edge_text, edge_data)
    values = sent_effects(circuit) if node_values is None else node_values
    _add_nodes(figure, circuit, places, values, value_name, dark)
    _add_selection(figure, circuit, places, selected)
    add_legend(figure, shown, dark)
    _place_axes(figure, rows, places)
    if not circuit.nodes:
        theme.hint(figure, "No head found yet.", dark)
    return figure


@lru_cache(maxsize=16)
def places_of(circuit: Circuit) -> dict[Hashable, tuple[float, float]]:
    """(x, y) of every node and of the logits. Remembered: redrawing a circuit needs them again."""
    return place(rows_of(circuit), deciding_edges(circuit.edges, lambda edge: abs(edge.effect)))


def rows_of(circuit: Circuit) -> list[list[Hashable]]:
    """Rows of nodes from the lowest layer that has any up to the logits."""
    by_depth: defaultdict[float, list[Hashable]] = defaultdict(list)
    for node in circuit.nodes:
        by_depth[depth_of(node)].append(node)
    return [*(by_depth[depth] for depth in sorted(by_depth)), [LOGITS_NODE]]


def row_title(node: Hashable) -> str:
    """What the axis says of the row that begins with ``node``."""
    return f"MLP {node.layer}" if isinstance(node, Mlp) else f"layer {node.layer}" if isinstance(node, Head) else ""


def visible_edges(circuit: Circuit, min_effect: float) -> list[Edge]:
    """Edges of at least ``min_effect`` between nodes of the circuit, weakest first: strong ones end up on top."""
    nodes = set(circuit.nodes)
    edges = [
        edge
        for edge in circuit.edges
        if abs(edge.effect) >= min_effect and edge.sender in nodes and (edge.receiver is None or edge.receiver in nodes)
    ]
    return sorted(edges, key=lambda edge: abs(edge.effect))


def sent_effects(circuit: Circuit) -> dict[Node, float]:
    """Sum of the effects of each node's outgoing edges (signed)."""
    totals = dict.fromkeys(circuit.nodes, 0.0)
    for edge in circuit.edges:
        if edge.sender in totals:
            totals[edge.sender] += edge.effect
    return totals


def _fading(selected: Head | None, bright: Collection[Edge] | None) -> Callable[[Edge], bool]:
    """Which edges step back: those not ``bright``, else those that do not touch the selected head."""
    if bright is not None:
        return lambda edge: edge not in bright
    return lambda edge: selected is not None and selected not in (edge.sender, edge.receiver)


def _add_nodes(
    figure: go.Figure, circuit: Circuit, places: Place, values: Mapping[Node, float], value_name: str, dark: bool
) -> None:
    limit = max((abs(values.get(node, 0.0)) for node in circuit.nodes), default=1.0) or 1.0
    size = node_size(len(circuit.nodes))
    told = _node_texts(circuit, values, value_name)
    fills = [theme.solid_colour(values.get(head, 0.0) / limit, dark) for head in circuit.heads]
    figure.add_scatter(
        x=[places[head][0] for head in circuit.heads], y=[places[head][1] for head in circuit.heads],
        mode="markers+text", name="heads", showlegend=False,
        text=[str(head) for head in circuit.heads],
        textfont={"size": max(9, size // 3), "color": [theme.text_on(fill) for fill in fills]},
        marker={
            "size": size, "color": [values.get(head, 0.0) for head in circuit.heads], "opacity": 1,
            "colorscale": theme.diverging_solid(dark), "cmin": -limit, "cmax": limit, "cauto": False,
            "line": {"width": 1.5, "color": theme.muted(dark)}, "showscale": bool(circuit.nodes),
            "colorbar": theme.colour_bar(value_name, dark, x=0, xanchor="left", y=1, yanchor="bottom"),
        },
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        customdata=[[head.layer, head.index] for head in circuit.heads],
        hovertext=[told[head] for head in circuit.heads], hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    fills = [theme.solid_colour(values.get(mlp, 0.0) / limit, dark) for mlp in circuit.mlps]
    add_mlps(figure, circuit.mlps, places, fills, [told[mlp] for mlp in circuit.mlps], size)
    x, y = places[LOGITS_NODE]
    figure.add_annotation(
        x=x, y=y, text="<b>logits</b>", showarrow=False, font={"size": 14, "color": theme.page(dark)},
        bgcolor=theme.ink(dark), borderpad=6,
    )  # fmt: skip


def add_mlps(
    figure: go.Figure, mlps: Sequence[Mlp], places: Place, fills: Sequence[str], told: Sequence[str], size: int
) -> None:
    """MLPs as squares with their names; no trace where there are none. A click on one selects nothing."""
    if not mlps:
        return
    figure.add_scatter(
        x=[places[mlp][0] for mlp in mlps], y=[places[mlp][1] for mlp in mlps],
        mode="markers+text", name="MLPs", showlegend=False, text=[str(mlp) for mlp in mlps],
        textfont={"size": max(9, size // 3), "color": [theme.text_on(fill) for fill in fills]},
        marker={"symbol": "square", "size": 0.9 * size, "color": list(fills), "opacity": 1,
                "line": {"width": 1.5, "color": theme.INPUT_COLOURS[Input.MLP]}},
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        hovertext=list(told), hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def node_size(n_heads: int) -> int:
    """Pixels: large enough for the label while it can be, smaller in a crowd."""
    return 38 if n_heads <= 40 else 30 if n_heads <= 120 else 24


def _node_texts(circuit: Circuit, values: Mapping[Node, float], value_name: str) -> dict[Node, str]:
    sent: defaultdict[Node, int] = defaultdict(int)
    received: defaultdict[Node | None, int] = defaultdict(int)
    for edge in circuit.edges:
        sent[edge.sender] += 1
        received[edge.receiver] += 1
    return {
        node: f"<b>{kind_of(node)} {node}</b><br>{value_name} {values.get(node, 0.0):+.3f}<br>"
        f"{sent[node]} edges out, {received[node]} in"
        for node in circuit.nodes
    }


def kind_of(node: Node) -> str:
    """``head`` or ``MLP``, as texts name it."""
    return "MLP" if isinstance(node, Mlp) else "head"


def _add_selection(figure: go.Figure, circuit: Circuit, places: Place, selected: Head | None) -> None:
    at = [places[selected]] if selected in circuit.heads else []
    figure.add_scatter(
        x=[x for x, _ in at], y=[y for _, y in at], mode="markers", hoverinfo="skip", showlegend=False, name="selected",
        marker={"symbol": "circle-open", "size": node_size(len(circuit.nodes)) + 8, "color": theme.ACCENT,
                "line": {"width": 3}},
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _height(n_rows: int, n_heads: int) -> int:
    """Pixels: room for a node and a gap in every row."""
    return 124 + max(260, n_rows * (node_size(n_heads) + 16))


def _place_axes(figure: go.Figure, rows: list[list[Hashable]], places: Place) -> None:
    xs = [x for x, _ in places.values()]
    room = max(0.8, 0.06 * (max(xs) - min(xs)))
    layers = [row_title(row[0]) for row in rows[:-1]]
    figure.update_layout(
        xaxis={"range": [min(xs) - room, max(xs) + room], "visible": False},
        legend={"yref": "container", "y": 0, "yanchor": "bottom"},
        yaxis={"range": [-0.6, len(rows) - 0.4], "tickvals": list(range(len(layers))), "ticktext": layers},
        margin={"l": 70, "r": 16, "t": 68, "b": 40},
        hoverdistance=16,
    )
