"""Layer x head maps: layers upward from 0 at the bottom, colours symmetric about 0.

Heatmap cells give no click events, so one transparent scatter lies on top; each of its points carries
``customdata = [layer, head]``. A click anywhere in a cell reaches that cell's point: the
nearest centre of a rectangular grid is always the cell's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.figures import theme
from engine.heads import Head

if TYPE_CHECKING:
    from torch import Tensor

ROOM = 460  # pixels a map takes if its rows allow it
TOP = 68  # pixels above a map, for the colour bar
CLEAR = "rgba(0,0,0,0)"


def heatmap_figure(
    scores: Tensor,
    *,
    name: str,
    dark: bool,
    kept: Tensor | None = None,
    only_kept: bool = False,
    selected: Head | None = None,
) -> go.Figure:
    """Scores [layer head] as a map; NaN cells stay empty ("not measured").

    ``name`` heads the colour bar and hover. ``kept`` [layer head] rings the heads of a keep mask, and
    ``only_kept`` leaves the others empty. ``selected`` is framed.
    """
    figure = theme.blank(dark, map_height(scores.shape[0]) + TOP + 52)
    figure.update_layout(margin={"t": TOP})
    shown = scores.masked_fill(~kept, float("nan")) if only_kept and kept is not None else scores
    add_map(figure, shown, name, dark)
    if kept is not None:
        add_rings(figure, kept, dark)
    add_selection(figure, selected, scores.shape[0])
    add_click_targets(figure, scores, hover_texts(scores, name))
    return figure


def map_height(n_layers: int) -> int:
    """Pixels for the rows of a map."""
    return n_layers * row_height(n_layers)


def row_height(n_layers: int) -> int:
    """Pixels a layer: roomy in shallow models, never so low that a ring would not fit."""
    return max(12, min(34, ROOM // n_layers))


def add_map(figure: go.Figure, scores: Tensor, name: str, dark: bool) -> None:
    """The coloured cells, the colour bar and both axes."""
    n_layers, n_heads = scores.shape
    limit = colour_limit(scores)
    figure.add_heatmap(
        z=[[None if value != value else round(value, 5) for value in row] for row in scores.tolist()],
        zmin=-limit, zmax=limit, colorscale=theme.diverging(), xgap=2, ygap=2, hoverinfo="skip",
        colorbar=theme.colour_bar(name, dark, x=0, xanchor="left", y=1, yanchor="bottom"),
    )  # fmt: skip
    every = max(1, n_layers // 15)
    figure.update_layout(
        xaxis={"range": [-0.5, n_heads - 0.5], "title": {"text": "head", "standoff": 6}, "showgrid": False,
               "dtick": max(1, n_heads // 16), "tick0": 0, "fixedrange": True},
        yaxis={"range": [-0.5, n_layers - 0.5], "title": {"text": "layer"}, "showgrid": False,
               "dtick": every, "tick0": 0, "fixedrange": True},
        hoverdistance=-1,  # the whole cell answers, not only its middle
        showlegend=False,
    )  # fmt: skip


def add_rings(figure: go.Figure, kept: Tensor, dark: bool, colour: str | None = None) -> None:
    """A ring around each kept head, in ink unless ``colour`` says otherwise."""
    layers, heads = kept.nonzero(as_tuple=True)
    figure.add_scatter(
        x=heads.tolist(), y=layers.tolist(), mode="markers", hoverinfo="skip", name="kept",
        marker={"symbol": "circle-open", "size": ring_size(kept.shape[0]), "color": colour or theme.ink(dark),
                "line": {"width": 1.8}},
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def ring_size(n_layers: int) -> int:
    return min(18, row_height(n_layers) - 4)


def add_selection(figure: go.Figure, selected: Head | None, n_layers: int) -> None:
    """A frame around the selected head; an empty trace if there is none, so that trace numbers stay."""
    figure.add_scatter(
        x=[selected.index] if selected else [], y=[selected.layer] if selected else [],
        mode="markers", hoverinfo="skip", name="selected",
        marker={"symbol": "square-open", "size": ring_size(n_layers) + 4, "color": theme.ACCENT, "line": {"width": 3}},
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def add_click_targets(figure: go.Figure, scores: Tensor, texts: list[str]) -> None:
    """The transparent layer that answers hover and click, ``customdata = [layer, head]``."""
    n_layers, n_heads = scores.shape
    cells = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    figure.add_scatter(
        x=[head for _, head in cells], y=[layer for layer, _ in cells], mode="markers", name="heads",
        customdata=[list(cell) for cell in cells], text=texts, hovertemplate="%{text}<extra></extra>",
        marker={"symbol": "square", "size": row_height(n_layers) - 2, "color": CLEAR, "opacity": 1},
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def hover_texts(scores: Tensor, name: str) -> list[str]:
    """For each head in layer order: its name, its score and its rank among the measured ones."""
    values = scores.flatten().tolist()
    ranked = sorted((value for value in values if value == value), reverse=True)
    place = {value: rank for rank, value in reversed(list(enumerate(ranked, start=1)))}
    n_heads = scores.shape[1]
    return [
        f"<b>head {Head(i // n_heads, i % n_heads)}</b><br>"
        + (f"{name} {value:+.3f}<br>rank {place[value]} of {len(ranked)}" if value == value else "not measured")
        for i, value in enumerate(values)
    ]


def colour_limit(scores: Tensor) -> float:
    """End of the symmetric colour range: the largest magnitude, or 1 if all is 0 or nothing measured."""
    finite = scores[scores.isfinite()]
    return float(finite.abs().max()) or 1.0 if len(finite) else 1.0
