"""One step of a search in two pictures: who was measured with what effect, and what the step adds to the graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.figures import heatmap, theme
from engine.figures.graph import graph_figure, kind_of, node_size, places_of
from engine.figures.results import KINDS, StepLike
from engine.heads import Head
from engine.nodes import Node, node_at, nodes_of

if TYPE_CHECKING:
    from torch import Tensor

LEGEND_ROOM = 96  # pixels under the map: axis title and two rows of legend


def step_map(step: StepLike, *, dark: bool, selected: Head | None = None) -> go.Figure:
    """All senders' effects [layer head] on the step's receiver; MLPs, where they are nodes, in a last column.

    A head not measured has a cross and no tile, so that it cannot be taken for an effect of 0; an estimate has a
    slash, an important sender a ring, the receiver a square in the colour of its input.
    """
    n_layers = step.effects.shape[0]
    figure = theme.blank(dark, heatmap.TOP + heatmap.map_height(n_layers) + LEGEND_ROOM)
    heatmap.add_map(figure, step.effects, "effect f (clean − corrupted = 1)", dark)
    size = heatmap.ring_size(n_layers)
    muted = theme.muted(dark)
    receivers = set(step.receivers)
    blank = [node for node in _nodes(step.effects.isnan(), step) if node not in receivers]
    mark = partial(_mark, figure, step.effects.shape[1])
    mark(blank, "not measured", "x-thin", max(5, size // 2), theme.fade(muted, 0.5), 1.0)
    mark(_nodes(step.estimated, step), "estimate", "line-ne", max(6, size // 2), muted, 1.2)
    mark(step.important, "stands out", "circle-open", size, theme.ink(dark), 1.8)
    mark(step.receivers, "receiver", "square-open", size, theme.INPUT_COLOURS[step.input], 3)
    heatmap.add_selection(figure, selected, n_layers)
    heatmap.add_click_targets(figure, step.effects, _texts(step))
    if step.mlps:
        _mlp_column(figure, step.effects.shape[1])
    for trace in theme.traces(figure):
        if trace.name in ("heads", "selected"):
            trace.showlegend = False
    return figure.update_layout(
        showlegend=True, margin={"t": heatmap.TOP, "b": LEGEND_ROOM},
        legend={"x": 0, "yref": "container", "y": 0, "yanchor": "bottom", "itemclick": False,
                "itemdoubleclick": False},
    )  # fmt: skip


def step_graph(
    circuit: Circuit,
    new: Sequence[Edge],
    receivers: Sequence[Node],
    entry: Input,
    *,
    whole: Circuit,
    dark: bool,
    heights: tuple[int, int],
    selected: Head | None = None,
) -> go.Figure:
    """The circuit as of one step, its ``new`` edges bright and its receiver framed in the colour of its input.

    Nodes stand where the graph of the ``whole`` circuit has them; heads of it not found yet are dots. ``heights``:
    least and most pixels.
    """
    figure = graph_figure(circuit, dark=dark, selected=selected, within=whole, bright=frozenset(new))
    height: float = figure.layout.height  # pyright: ignore[reportAttributeAccessIssue]
    figure.update_layout(height=max(heights[0], min(heights[1], height)))
    places = places_of(whole)
    size = node_size(len(whole.nodes))
    later = [places[node] for node in whole.nodes if node not in set(circuit.nodes)]
    _place(figure, later, "found later", "circle", 5, theme.fade(theme.muted(dark), 0.5), 0)
    at = [places[head] for head in receivers] or [places[LOGITS_NODE]]
    wide = size + 8 if receivers else 2 * size
    _place(figure, at, "receiver", "square-open" if receivers else "diamond-open", wide, theme.INPUT_COLOURS[entry], 3)
    return figure


def _nodes(mask: Tensor, step: StepLike) -> tuple[Node, ...]:
    return nodes_of(mask, mask.shape[1] - step.mlps)


def _mlp_column(figure: go.Figure, columns: int) -> None:
    """Its name; what is there answers the pointer but no click."""
    targets = next(trace for trace in theme.traces(figure) if trace.name == "heads")
    targets.customdata = [cell if cell[1] < columns - 1 else None for cell in targets.customdata]
    every = max(1, columns // 16)
    heads = list(range(0, columns - 1, every))
    figure.update_xaxes(tickvals=[*heads, columns - 1], ticktext=[*map(str, heads), "MLP"])


def _mark(
    figure: go.Figure, columns: int, nodes: Sequence[Node], name: str, symbol: str, size: int, colour: str, width: float
) -> None:
    """One mark a node, told in the legend where there is any; an empty trace else, so that trace numbers stay."""
    figure.add_scatter(
        x=[node.index % columns for node in nodes], y=[node.layer for node in nodes], mode="markers",
        hoverinfo="skip", name=name, showlegend=bool(nodes), unselected={"marker": {"opacity": 1}},
        marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": width, "color": colour}},
    )  # fmt: skip


def _place(
    figure: go.Figure, at: Sequence[tuple[float, float]], name: str, symbol: str, size: int, colour: str, width: float
) -> None:
    figure.add_scatter(
        x=[x for x, _ in at], y=[y for _, y in at], mode="markers", hoverinfo="skip", name=name, showlegend=bool(at),
        unselected={"marker": {"opacity": 1}},
        marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": width, "color": colour}},
    )  # fmt: skip


def _texts(step: StepLike) -> list[str]:
    """What each head says on hover, in layer order."""
    columns = step.effects.shape[1]
    chosen, receivers = set(step.important), set(step.receivers)
    effects, guessed = step.effects.flatten().tolist(), step.estimated.flatten().tolist()
    texts = []
    for place, (effect, guess) in enumerate(zip(effects, guessed, strict=True)):
        node = node_at(place, columns, step.mlps)
        name = f"<b>{kind_of(node)} {node}</b>"
        if effect == effect:
            verdict = "<br>stands out" if node in chosen else ""
            texts.append(f"{name}<br>effect {effect:+.4f} ({KINDS[guess]}){verdict}")
        else:
            texts.append(f"{name}<br>{'the receiver' if node in receivers else 'not measured'}")
    return texts
