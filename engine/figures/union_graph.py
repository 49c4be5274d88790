"""Two circuits in one graph.

Sides are told apart twice: by colour, and by shape or dash for readers who do not see the colours.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Circuit, Edge, EdgeName, edges_by_name
from engine.figures import theme
from engine.figures.edges import CURVE_POINTS, curves, width_of
from engine.figures.graph import node_size, places_of, rows_of
from engine.heads import Head

BOTH, LEFT, RIGHT = "both", "left only", "right only"
SIDES = (BOTH, LEFT, RIGHT)
SYMBOLS = {BOTH: "circle", LEFT: "square", RIGHT: "diamond"}
DASHES = {BOTH: "solid", LEFT: "6px,4px", RIGHT: "2px,4px"}
LEFT_COLOUR, RIGHT_COLOUR = "#3b8eea", "#e8791e"  # as blue and orange of the diverging scale: right minus left
OPACITY, FAINT = 0.75, 0.12

Sides = tuple[dict[EdgeName, Edge], dict[EdgeName, Edge]]  # left, right
Place = Mapping[Hashable, tuple[float, float]]


def side_colour(side: str, dark: bool) -> str:
    return {LEFT: LEFT_COLOUR, RIGHT: RIGHT_COLOUR}.get(side, theme.muted(dark))


def union_figure(left: Circuit, right: Circuit, *, dark: bool, selected: Head | None = None) -> go.Figure:
    """Both circuits of models of one shape: what both have is grey, what one has alone in its side's colour.

    Nodes carry ``customdata = [layer, head]``. A selected head is framed, and edges that do not touch it step back.
    """
    edges = edges_by_name(left), edges_by_name(right)
    whole = _union(left, right)
    places = places_of(whole)
    figure = theme.blank(dark, 150 + max(260, len(rows_of(whole)) * (node_size(len(whole.heads)) + 14)))
    _add_edges(figure, edges, places, selected, dark)
    _add_edge_targets(figure, edges, places)
    _add_nodes(figure, (left, right), places, dark)
    _add_selection(figure, selected if selected in whole.heads else None, places, node_size(len(whole.heads)))
    _add_logits(figure, whole, places, dark)
    if not whole.heads:
        theme.hint(figure, "Neither run found a head.", dark, y=0.4)
    return figure


def _union(left: Circuit, right: Circuit) -> Circuit:
    edges = {**edges_by_name(right), **edges_by_name(left)}
    return replace(left, heads=tuple(sorted({*left.heads, *right.heads})), edges=tuple(edges.values()))


def _side(in_left: bool, in_right: bool) -> str:
    return BOTH if in_left and in_right else LEFT if in_left else RIGHT


def _strength(name: EdgeName, edges: Sides) -> float:
    """The larger |effect| of the two runs."""
    return max(abs(side[name].effect) for side in edges if name in side)


def _add_edges(figure: go.Figure, edges: Sides, places: Place, selected: Head | None, dark: bool) -> None:
    """One trace for each (side, width, faint); what only one run has lies on top."""
    left, right = edges
    names = list(dict.fromkeys((*left, *right)))
    largest = max((_strength(name, edges) for name in names), default=1.0) or 1.0
    groups: dict[tuple[str, float, bool], list[EdgeName]] = {}
    for name in names:
        faint = selected is not None and selected not in name[:2]
        key = _side(name in left, name in right), width_of(_strength(name, edges), largest), faint
        groups.setdefault(key, []).append(name)
    order = sorted(groups.items(), key=lambda item: (not item[0][2], SIDES.index(item[0][0])))
    for (side, width, faint), members in order:
        x: list[float | None] = []
        y: list[float | None] = []
        for name in members:
            xs, ys = _curve(name, edges, places)
            x += [*xs, None]
            y += [*ys, None]
        figure.add_scatter(
            x=x, y=y, mode="lines", hoverinfo="skip", showlegend=False, name="edges",
            meta={"side": side, "edges": len(members)}, legendgroup=side,
            line={"color": theme.fade(side_colour(side, dark), FAINT if faint else OPACITY), "width": width,
                  "dash": DASHES[side], "shape": "spline"},
        )  # fmt: skip


def _curve(name: EdgeName, edges: Sides, places: Place) -> tuple[list[float], list[float]]:
    edge = next(side[name] for side in edges if name in side)
    xs, ys = curves([edge], places)[0].tolist()
    return xs, ys


def _add_edge_targets(figure: go.Figure, edges: Sides, places: Place) -> None:
    """Invisible marks at the middle of each edge that say its effect in both runs."""
    names = list(dict.fromkeys((*edges[0], *edges[1])))
    middles = [[points[CURVE_POINTS // 2] for points in _curve(name, edges, places)] for name in names]
    figure.add_scatter(
        x=[x for x, _ in middles], y=[y for _, y in middles], mode="markers", name="edge targets", showlegend=False,
        marker={"size": 14, "color": "rgba(0,0,0,0)"}, unselected={"marker": {"opacity": 1}},
        text=[_edge_text(name, edges) for name in names], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _edge_text(name: EdgeName, edges: Sides) -> str:
    sender, receiver, entry = name
    into = "the logits" if receiver is None else f"{receiver} through its {entry.value}"
    effects = [f"{side[name].effect:+.3f}" if name in side else "no edge" for side in edges]
    return f"<b>{sender} → {into}</b><br>left: {effects[0]}<br>right: {effects[1]}"


def _add_nodes(figure: go.Figure, circuits: tuple[Circuit, Circuit], places: Place, dark: bool) -> None:
    """One trace a side, so that the legend names them; all are told, even if empty."""
    left, right = (set(circuit.heads) for circuit in circuits)
    size = node_size(len(left | right))
    for side, heads in ((BOTH, left & right), (LEFT, left - right), (RIGHT, right - left)):
        ordered, colour = sorted(heads), side_colour(side, dark)
        figure.add_scatter(
            x=[places[head][0] for head in ordered] or [None], y=[places[head][1] for head in ordered] or [None],
            mode="markers+text", name=f"{side}: {len(ordered)}", legendgroup=side, text=list(map(str, ordered)),
            textfont={"size": max(9, size // 3), "color": theme.ink(dark)},
            marker={"symbol": SYMBOLS[side], "size": size, "color": theme.page(dark), "opacity": 1,
                    "line": {"width": 2.5, "color": colour}},
            customdata=[[head.layer, head.index] for head in ordered],
            hovertemplate=f"<b>head %{{text}}</b><br>{side}<extra></extra>",
            selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        )  # fmt: skip


def _add_selection(figure: go.Figure, head: Head | None, places: Place, size: int) -> None:
    at = [places[head]] if head is not None else []
    figure.add_scatter(
        x=[x for x, _ in at], y=[y for _, y in at], mode="markers", hoverinfo="skip", showlegend=False, name="selected",
        marker={"symbol": "circle-open", "size": size + 10, "color": theme.ACCENT, "line": {"width": 3}},
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _add_logits(figure: go.Figure, whole: Circuit, places: Place, dark: bool) -> None:
    """The node on top, and the axes."""
    x, y = places[LOGITS_NODE]
    figure.add_annotation(
        x=x, y=y, text="<b>logits</b>", showarrow=False, font={"size": 14, "color": theme.page(dark)},
        bgcolor=theme.ink(dark), borderpad=6,
    )  # fmt: skip
    xs = [place[0] for place in places.values()]
    room = max(0.8, 0.06 * (max(xs) - min(xs)))
    layers = sorted({head.layer for head in whole.heads})
    figure.update_layout(
        xaxis={"range": [min(xs) - room, max(xs) + room], "visible": False},
        yaxis={"range": [-0.6, len(layers) + 0.6], "tickvals": list(range(len(layers))),
               "ticktext": [f"layer {layer}" for layer in layers]},
        margin={"l": 70, "r": 16, "t": 40, "b": 56}, hoverdistance=16,
        legend={"yref": "container", "y": 0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
    )  # fmt: skip
