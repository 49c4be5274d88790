"""One step of a search in two pictures: who was measured with what effect, and what the step adds to the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.figures import heatmap, theme
from engine.figures.graph import graph_figure, node_size, places_of
from engine.figures.results import KINDS, StepLike
from engine.heads import Head

if TYPE_CHECKING:
    from torch import Tensor

LEGEND_ROOM = 96  # pixels under the map: axis title and two rows of legend


def step_map(step: StepLike, *, dark: bool, selected: Head | None = None) -> go.Figure:
    """All senders' effects [layer head] on the step's receiver.

    A head not measured has a cross and no tile, so that it cannot be taken for an effect of 0; an estimate has a
    slash, an important sender a ring, the receiver a square in the colour of its input.
    """
    n_layers = step.effects.shape[0]
    figure = theme.blank(dark, heatmap.TOP + heatmap.map_height(n_layers) + LEGEND_ROOM)
    heatmap.add_map(figure, step.effects, "effect f (clean − corrupted = 1)", dark)
    size = heatmap.ring_size(n_layers)
    muted = theme.muted(dark)
    receivers = set(step.receivers)
    blank = [head for head in _heads(step.effects.isnan()) if head not in receivers]
    _mark(figure, blank, "not measured", "x-thin", max(5, size // 2), theme.fade(muted, 0.5), 1.0)
    _mark(figure, _heads(step.estimated), "estimate", "line-ne", max(6, size // 2), muted, 1.2)
    _mark(figure, step.important, "stands out", "circle-open", size, theme.ink(dark), 1.8)
    _mark(figure, step.receivers, "receiver", "square-open", size, theme.INPUT_COLOURS[step.input], 3)
    heatmap.add_selection(figure, selected, n_layers)
    heatmap.add_click_targets(figure, step.effects, _texts(step))
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
    receivers: Sequence[Head],
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
    size = node_size(len(whole.heads))
    later = [places[head] for head in whole.heads if head not in set(circuit.heads)]
    _place(figure, later, "found later", "circle", 5, theme.fade(theme.muted(dark), 0.5), 0)
    at = [places[head] for head in receivers] or [places[LOGITS_NODE]]
    wide = size + 8 if receivers else 2 * size
    _place(figure, at, "receiver", "square-open" if receivers else "diamond-open", wide, theme.INPUT_COLOURS[entry], 3)
    return figure


def _heads(mask: Tensor) -> list[Head]:
    return [Head(int(layer), int(index)) for layer, index in mask.nonzero().tolist()]


def _mark(
    figure: go.Figure, heads: Sequence[Head], name: str, symbol: str, size: int, colour: str, width: float
) -> None:
    """One mark a head, told in the legend where there is any; an empty trace else, so that trace numbers stay."""
    figure.add_scatter(
        x=[head.index for head in heads], y=[head.layer for head in heads], mode="markers", hoverinfo="skip", name=name,
        showlegend=bool(heads), unselected={"marker": {"opacity": 1}},
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
    n_heads = step.effects.shape[1]
    chosen, receivers = set(step.important), set(step.receivers)
    effects, guessed = step.effects.flatten().tolist(), step.estimated.flatten().tolist()
    texts = []
    for place, (effect, guess) in enumerate(zip(effects, guessed, strict=True)):
        head = Head(place // n_heads, place % n_heads)
        if effect == effect:
            verdict = "<br>stands out" if head in chosen else ""
            texts.append(f"<b>head {head}</b><br>effect {effect:+.4f} ({KINDS[guess]}){verdict}")
        else:
            texts.append(f"<b>head {head}</b><br>{'the receiver' if head in receivers else 'not measured'}")
    return texts
