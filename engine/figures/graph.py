"""A circuit as a graph: layers upward, logits on top (layout.py places the nodes).

* Edge colour says which input it enters (q, k, v or the logits), width is |effect|, a dashed edge is one
  whose patch raises the metric (edges.py draws them).
* Node colour is the sum of the effects of a head's outgoing edges, or values of the caller's.
* Only markers answer clicks: nodes carry ``customdata = [layer, head]``, and an invisible marker in the
  middle of each edge carries ``[sender, receiver, input]``, such as ``["23.0", "23.3", "q"]``; a receiver may
  be ``"logits"``.
MLPs are part of every path (recomputed, METHOD section 2.7) and are not drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping
from functools import lru_cache

import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Circuit, Edge
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

SETTLED = 0.22  # opacity of edges that step back from new ones


def graph_figure(
    circuit: Circuit,
    *,
    dark: bool,
    min_effect: float = 0.0,
    node_values: Mapping[Head, float] | None = None,
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
    figure = theme.blank(dark, _height(len(rows), len(whole.heads)))
    shown = visible_edges(circuit, min_effect)
    largest = max((abs(edge.effect) for edge in whole.edges), default=1.0) or 1.0
    points = curves(shown, places)
    faint = FADED if bright is None else SETTLED
    add_edges(figure, shown, points, lambda edge: abs(edge.effect), largest, _fading(selected, bright), faint)
    add_edge_targets(figure, shown, points, edge_text, edge_data)
    _add_nodes(figure, circuit, places, sent_effects(circuit) if node_values is None else node_values, value_name, dark)
    _add_selection(figure, circuit, places, selected)
    add_legend(figure, shown, dark)
    _place_axes(figure, rows, places)
    if not circuit.heads:
        theme.hint(figure, "No head found yet.", dark)
    return figure


@lru_cache(maxsize=16)
def places_of(circuit: Circuit) -> dict[Hashable, tuple[float, float]]:
    """(x, y) of every head and of the logits. Remembered: redrawing a circuit needs them again."""
    return place(rows_of(circuit), deciding_edges(circuit.edges, lambda edge: abs(edge.effect)))


def rows_of(circuit: Circuit) -> list[list[Hashable]]:
    """Rows of nodes from the lowest layer that has heads up to the logits."""
    by_layer: defaultdict[int, list[Hashable]] = defaultdict(list)
    for head in circuit.heads:
        by_layer[head.layer].append(head)
    return [*(by_layer[layer] for layer in sorted(by_layer)), [LOGITS_NODE]]


def visible_edges(circuit: Circuit, min_effect: float) -> list[Edge]:
    """Edges of at least ``min_effect`` between heads of the circuit, weakest first: strong ones end up on top."""
    heads = set(circuit.heads)
    edges = [
        edge
        for edge in circuit.edges
        if abs(edge.effect) >= min_effect and edge.sender in heads and (edge.receiver is None or edge.receiver in heads)
    ]
    return sorted(edges, key=lambda edge: abs(edge.effect))


def sent_effects(circuit: Circuit) -> dict[Head, float]:
    """Sum of the effects of each head's outgoing edges (signed)."""
    totals = dict.fromkeys(circuit.heads, 0.0)
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
    figure: go.Figure, circuit: Circuit, places: Place, values: Mapping[Head, float], value_name: str, dark: bool
) -> None:
    limit = max((abs(values.get(head, 0.0)) for head in circuit.heads), default=1.0) or 1.0
    size = node_size(len(circuit.heads))
    fills = [theme.solid_colour(values.get(head, 0.0) / limit, dark) for head in circuit.heads]
    figure.add_scatter(
        x=[places[head][0] for head in circuit.heads], y=[places[head][1] for head in circuit.heads],
        mode="markers+text", name="heads", showlegend=False,
        text=[str(head) for head in circuit.heads],
        textfont={"size": max(9, size // 3), "color": [theme.text_on(fill) for fill in fills]},
        marker={
            "size": size, "color": [values.get(head, 0.0) for head in circuit.heads], "opacity": 1,
            "colorscale": theme.diverging_solid(dark), "cmin": -limit, "cmax": limit, "cauto": False,
            "line": {"width": 1.5, "color": theme.muted(dark)}, "showscale": bool(circuit.heads),
            "colorbar": theme.colour_bar(value_name, dark, x=0, xanchor="left", y=1, yanchor="bottom"),
        },
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        customdata=[[head.layer, head.index] for head in circuit.heads],
        hovertext=_node_texts(circuit, values, value_name), hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    x, y = places[LOGITS_NODE]
    figure.add_annotation(
        x=x, y=y, text="<b>logits</b>", showarrow=False, font={"size": 14, "color": theme.page(dark)},
        bgcolor=theme.ink(dark), borderpad=6,
    )  # fmt: skip


def node_size(n_heads: int) -> int:
    """Pixels: large enough for the label while it can be, smaller in a crowd."""
    return 38 if n_heads <= 40 else 30 if n_heads <= 120 else 24


def _node_texts(circuit: Circuit, values: Mapping[Head, float], value_name: str) -> list[str]:
    sent: defaultdict[Head, int] = defaultdict(int)
    received: defaultdict[Head | None, int] = defaultdict(int)
    for edge in circuit.edges:
        sent[edge.sender] += 1
        received[edge.receiver] += 1
    return [
        f"<b>head {head}</b><br>{value_name} {values.get(head, 0.0):+.3f}<br>"
        f"{sent[head]} edges out, {received[head]} in"
        for head in circuit.heads
    ]


def _add_selection(figure: go.Figure, circuit: Circuit, places: Place, selected: Head | None) -> None:
    at = [places[selected]] if selected in circuit.heads else []
    figure.add_scatter(
        x=[x for x, _ in at], y=[y for _, y in at], mode="markers", hoverinfo="skip", showlegend=False, name="selected",
        marker={"symbol": "circle-open", "size": node_size(len(circuit.heads)) + 8, "color": theme.ACCENT,
                "line": {"width": 3}},
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _height(n_rows: int, n_heads: int) -> int:
    """Pixels: room for a node and a gap in every row."""
    return 124 + max(260, n_rows * (node_size(n_heads) + 16))


def _place_axes(figure: go.Figure, rows: list[list[Hashable]], places: Place) -> None:
    xs = [x for x, _ in places.values()]
    room = max(0.8, 0.06 * (max(xs) - min(xs)))
    layers = [f"layer {head.layer}" for row in rows for head in row[:1] if isinstance(head, Head)]
    figure.update_layout(
        xaxis={"range": [min(xs) - room, max(xs) + room], "visible": False},
        legend={"yref": "container", "y": 0, "yanchor": "bottom"},
        yaxis={"range": [-0.6, len(rows) - 0.4], "tickvals": list(range(len(layers))), "ticktext": layers},
        margin={"l": 70, "r": 16, "t": 68, "b": 40},
        hoverdistance=16,
    )
