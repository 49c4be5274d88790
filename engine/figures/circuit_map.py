"""The circuit at full size: single heads or whole layers, roles, names, pins, and an answer key laid over it.

* Rows are layers, upward, with the logits on top; sizes and gaps follow the widest row (``Scale``).
* A head's shape is its first role, its fill that role or the summed effect of its outgoing edges.
* Where MLPs are nodes, each is a square with its name, in a row of its own above the heads of its layer.
* A bundle (engine/views/circuit_layers.py) is a square with the number of its heads; flows between bundles bow to the
  left into q and k, to the right into v and the logits.
* Once it is known how often each head and edge is found again, their opacity says so, in five steps.
* With an answer key, heads of the key have a thick rim, and those that were not found are hollow.
* Clicks send ``[layer, head]`` of a head, ``[sender, receiver, input]`` of an edge, ``["layers", 3]`` of a bundle and
  ``["layers", 3, 7]`` of a flow: the layers to open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable
from typing import Any

import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.figures import theme
from engine.figures.circuit_nodes import add_node_legend, add_nodes, found_again
from engine.figures.edges import (
    Place,
    add_edge_targets,
    add_edges,
    add_legend,
    curves,
    deciding_edges,
    edge_data,
    shade_of,
)
from engine.figures.edges import edge_text as one_edge_text
from engine.figures.graph import row_title
from engine.figures.layout import place
from engine.figures.node_look import Look, Scale
from engine.heads import Head
from engine.nodes import Mlp
from engine.trust.overlap import name_of
from engine.views.circuit_layers import Bundle, Flow, Overview, row_of, strength

MOST_FLOWS = 120  # drawn between layers, strongest first


def circuit_map(overview: Overview, circuit: Circuit, look: Look) -> go.Figure:
    """``overview`` is what is drawn of ``circuit``: bundled or not, filtered or not."""
    links = drawn_links(overview, look.selected)
    rows = _rows(overview, look.missing)
    places = place(rows, deciding_edges(links, strength))
    scale = Scale.of(places, len(rows), with_names=any(head in places for head in look.names))
    above = 20 if look.by_role else 68  # room for the colour bar of effects
    figure = theme.blank(look.dark, 82 + above + len(rows) * scale.row)
    points = curves(links, places, _bows(links, places))
    largest = max((strength(link) for link in overview.links), default=1.0) or 1.0
    add_edges(
        figure, links, points, strength, largest, lambda link: _is_faded(link, look.selected),
        shade=lambda link: _shade(link, look),
    )  # fmt: skip
    add_edge_targets(figure, links, points, lambda link: _told(link, look), _link_data)
    add_nodes(figure, overview, circuit, places, scale, look)
    _add_logits(figure, places, look.dark)
    add_legend(figure, links, look.dark)
    add_node_legend(figure, overview, look)
    _place_axes(figure, rows, places, points, above)
    if not overview.nodes:
        theme.hint(figure, "No head passes the filters.", look.dark)
    return figure


def drawn_links(overview: Overview, selected: Head | None = None) -> list[Edge | Flow]:
    """Weakest first, so that strong ones end up on top; of the flows only the strongest, and those of ``selected``."""
    ranked = sorted(overview.links, key=strength)
    flows = [
        link
        for link in ranked
        if isinstance(link, Flow) and (selected is None or selected not in (link.sender, link.receiver))
    ]
    left_out = set(flows[: max(0, len(flows) - MOST_FLOWS)])
    return [link for link in ranked if link not in left_out]


def link_text(link: Edge | Flow) -> str:
    """What a link says on hover."""
    if isinstance(link, Edge):
        return one_edge_text(link)
    into = "the logits" if link.receiver is None else f"{_name(link.receiver)}, {link.input.value}"
    if isinstance(link.receiver, Mlp):
        into = f"MLP {link.receiver}"
    edges = "1 edge" if link.count == 1 else f"{link.count} edges"
    return (
        f"<b>{_name(link.sender)} → {into}</b><br>{edges}, Σ|effect| {link.strength:.3f}, strongest "
        f"{link.strongest:.3f}<br>signed sum {link.effect:+.3f}"
    )


def _told(link: Edge | Flow, look: Look) -> str:
    if look.frequency is None or not isinstance(link, Edge) or name_of(link) not in look.frequency.edges:
        return link_text(link)
    return f"{link_text(link)}<br>{found_again(look.frequency.edges[name_of(link)], look.frequency.n)}"


def _shade(link: Edge | Flow, look: Look) -> float:
    """Opacity of a single edge by how often it was found; what lies between whole layers is not shaded."""
    if look.frequency is None or not isinstance(link, Edge):
        return 1.0
    return shade_of(look.frequency.edges.get(name_of(link), 1.0))


def _name(node: Hashable) -> str:
    return f"layer {node.layer}" if isinstance(node, Bundle) else str(node)


def _rows(overview: Overview, missing: Collection[Head]) -> list[list[Hashable]]:
    """Rows of nodes from the lowest layer that has any up to the logits."""
    by_row: defaultdict[float, list[Hashable]] = defaultdict(list)
    for node in (*overview.nodes, *missing):
        by_row[row_of(node)].append(node)
    return [*(by_row[row] for row in sorted(by_row)), [LOGITS_NODE]]


def _bows(links: list[Edge | Flow], places: Place) -> list[float] | None:
    """Between layers in one column, arcs; None where heads stand side by side."""
    if not any(isinstance(link, Flow) for link in links):
        return None
    bows = []
    for link in links:
        (_, low), (_, high) = places[link.sender], places[LOGITS_NODE if link.receiver is None else link.receiver]
        side = -1 if link.input in (Input.Q, Input.K) else 1
        bows.append(side * (0.5 if link.input in (Input.K, Input.LOGITS) else 0.35) * (high - low) ** 0.7)
    return bows


def _is_faded(link: Edge | Flow, selected: Head | None) -> bool:
    if selected is None:
        return False
    ends = (link.sender, link.receiver)
    return not any(end == selected or (isinstance(end, Bundle) and selected in end.heads) for end in ends)


def _link_data(link: Edge | Flow) -> list[Any]:
    if isinstance(link, Edge):
        return edge_data(link)
    bundles = [end.layer for end in (link.sender, link.receiver) if isinstance(end, Bundle)]
    return ["layers", *bundles]


def _add_logits(figure: go.Figure, places: Place, dark: bool) -> None:
    x, y = places[LOGITS_NODE]
    figure.add_annotation(
        x=x, y=y, text="<b>logits</b>", showarrow=False, font={"size": 14, "color": theme.page(dark)},
        bgcolor=theme.ink(dark), borderpad=6,
    )  # fmt: skip


def _place_axes(figure: go.Figure, rows: list[list[Hashable]], places: Place, points: Any, above: int) -> None:
    xs = [x for x, _ in places.values()] + (
        [float(points[:, 0].min()), float(points[:, 0].max())] if len(points) else []
    )
    room = max(0.8, 0.04 * (max(xs) - min(xs)))
    layers = [_name(row[0]) if isinstance(row[0], Bundle) else row_title(row[0]) for row in rows[:-1]]
    figure.update_layout(
        xaxis={"range": [min(xs) - room, max(xs) + room], "visible": False},
        legend={"yref": "container", "y": 0, "yanchor": "bottom"},
        yaxis={"range": [-0.7, len(rows) - 0.4], "tickvals": list(range(len(layers))), "ticktext": layers},
        margin={"l": 66, "r": 12, "t": above, "b": 66},
        hoverdistance=16,
    )
