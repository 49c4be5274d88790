"""Two circuits in one graph.

Sides are told apart twice: by colour, and by shape or dash for readers who do not see the colours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Circuit, Edge, union
from engine.figures import theme
from engine.figures.edges import FADED, Place, add_edge_targets, curves, edge_data, into_text, width_of, with_gaps
from engine.figures.graph import kind_of, node_size, places_of, row_title, rows_of
from engine.heads import Head
from engine.trust.overlap import EdgeName, edges_by_name, name_of

BOTH, LEFT, RIGHT = "both", "left only", "right only"
SIDES = (BOTH, LEFT, RIGHT)
SYMBOLS = {BOTH: "circle", LEFT: "square", RIGHT: "diamond"}
DASHES = {BOTH: "solid", LEFT: "6px,4px", RIGHT: "2px,4px"}
LEFT_COLOUR, RIGHT_COLOUR = "#3b8eea", "#e8791e"  # as blue and orange of the diverging scale: right minus left
OPACITY = 0.75
MOST_HEIGHT = 1100  # pixels

Sides = tuple[dict[EdgeName, Edge], dict[EdgeName, Edge]]  # left, right


def side_colour(side: str, dark: bool) -> str:
    return {LEFT: LEFT_COLOUR, RIGHT: RIGHT_COLOUR}.get(side, theme.muted(dark))


def union_figure(left: Circuit, right: Circuit, *, dark: bool, selected: Head | None = None) -> go.Figure:
    """Both circuits of models of one shape: what both have is grey, what one has alone in its side's colour.

    Heads carry ``customdata = [layer, head]``. A selected head is framed, and edges that do not touch it step back.
    """
    sides = edges_by_name(left), edges_by_name(right)
    whole = union(left, right)
    places = places_of(whole)
    points = curves(whole.edges, places)
    natural = 150 + max(260, len(rows_of(whole)) * (node_size(len(whole.nodes)) + 14))
    figure = theme.blank(dark, min(MOST_HEIGHT, natural))
    _add_edges(figure, whole.edges, points, sides, selected, dark)
    add_edge_targets(figure, whole.edges, points, lambda edge: _edge_text(edge, sides), edge_data)
    _add_nodes(figure, (left, right), places, dark)
    _add_selection(figure, selected if selected in whole.heads else None, places, node_size(len(whole.nodes)))
    _add_logits(figure, whole, places, dark)
    if not whole.nodes:
        theme.hint(figure, "Neither run found a head.", dark, y=0.4)
    return figure


def _side(in_left: bool, in_right: bool) -> str:
    return BOTH if in_left and in_right else LEFT if in_left else RIGHT


def _strength(edge: Edge, sides: Sides) -> float:
    """The larger |effect| of the two runs."""
    name = name_of(edge)
    return max(abs(side[name].effect) for side in sides if name in side)


def _add_edges(
    figure: go.Figure, edges: Sequence[Edge], points: np.ndarray, sides: Sides, selected: Head | None, dark: bool
) -> None:
    """One trace for each (side, width, faint); what only one run has lies on top. ``points`` as of ``curves``."""
    largest = max((_strength(edge, sides) for edge in edges), default=1.0) or 1.0
    groups: defaultdict[tuple[str, float, bool], list[int]] = defaultdict(list)
    for number, edge in enumerate(edges):
        faint = selected is not None and selected not in (edge.sender, edge.receiver)
        side = _side(*(name_of(edge) in each for each in sides))
        groups[side, width_of(_strength(edge, sides), largest), faint].append(number)
    order = sorted(groups.items(), key=lambda item: (not item[0][2], SIDES.index(item[0][0])))
    for (side, width, faint), numbers in order:
        x, y = (with_gaps(points[numbers, axis]) for axis in (0, 1))
        figure.add_scatter(
            x=x, y=y, mode="lines", hoverinfo="skip", showlegend=False, name="edges",
            meta={"side": side, "edges": len(numbers)}, legendgroup=side,
            line={"color": theme.fade(side_colour(side, dark), FADED if faint else OPACITY), "width": width,
                  "dash": DASHES[side], "shape": "spline"},
        )  # fmt: skip


def _edge_text(edge: Edge, sides: Sides) -> str:
    """Its effect in both runs."""
    name = name_of(edge)
    effects = [f"{side[name].effect:+.3f}" if name in side else "no edge" for side in sides]
    return f"<b>{edge.sender} → {into_text(edge)}</b><br>left: {effects[0]}<br>right: {effects[1]}"


def _add_nodes(figure: go.Figure, circuits: tuple[Circuit, Circuit], places: Place, dark: bool) -> None:
    """One trace a side, so that the legend names them; all are told, even if empty."""
    left, right = (set(circuit.nodes) for circuit in circuits)
    size = node_size(len(left | right))
    for side, nodes in ((BOTH, left & right), (LEFT, left - right), (RIGHT, right - left)):
        ordered, colour = sorted(nodes), side_colour(side, dark)
        figure.add_scatter(
            x=[places[node][0] for node in ordered] or [None], y=[places[node][1] for node in ordered] or [None],
            mode="markers+text", name=f"{side}: {len(ordered)}", legendgroup=side, text=list(map(str, ordered)),
            textfont={"size": max(9, size // 3), "color": theme.ink(dark)},
            marker={"symbol": SYMBOLS[side], "size": size, "color": theme.page(dark), "opacity": 1,
                    "line": {"width": 2.5, "color": colour}},
            customdata=[[node.layer, node.index] if isinstance(node, Head) else None for node in ordered],
            hovertext=[kind_of(node) for node in ordered],
            hovertemplate=f"<b>%{{hovertext}} %{{text}}</b><br>{side}<extra></extra>",
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
    layers = [row_title(row[0]) for row in rows_of(whole)[:-1]]
    figure.update_layout(
        xaxis={"range": [min(xs) - room, max(xs) + room], "visible": False},
        yaxis={"range": [-0.6, len(layers) + 0.6], "tickvals": list(range(len(layers))),
               "ticktext": layers},
        margin={"l": 70, "r": 16, "t": 40, "b": 56}, hoverdistance=16,
        legend={"yref": "container", "y": 0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
    )  # fmt: skip
