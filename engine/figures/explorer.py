"""Score map above, performance curve below, and one slider that moves both without the server.

Each slider step is a Plotly ``restyle`` of two numbers. All heads have a ring at all times, coloured by
the sparsity that drops them, on a scale that is clear up to the slider's position and opaque beyond; the
position on the curve is a row of 100 marks on a scale that is opaque at one of them. Moving both
scales moves the picture: nothing is recomputed, and 100 steps take a few kilobytes at any model size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from engine.figures import heatmap, theme
from engine.figures.results import BandLike, SweepLike
from engine.figures.sparsity import add_curves, performance_axis, sparsity_axis
from engine.heads import Head
from engine.pruning.masks import SWEEP_SPARSITIES

if TYPE_CHECKING:
    from torch import Tensor

GRID_STEP = 0.01  # of SWEEP_SPARSITIES
TOP, SLIDER_ROOM, CURVE_ROOM, BOTTOM = heatmap.TOP, 134, 230, 88  # pixels
RINGS, POSITION, GUIDE = "rings", "position", "guide"  # names of the traces the slider moves


def explorer_figure(
    scores: Tensor,
    drop: Tensor,
    *,
    name: str,
    sweeps: Sequence[SweepLike],
    active: str | None,
    band: BandLike | None,
    sparsity: float,
    dark: bool,
    selected: Head | None = None,
) -> go.Figure:
    """The one figure of the Explorer page.

    scores    [layer head] shown as colours, NaN = not measured; ``name`` says what they are
    drop      [layer head] the sparsity that drops each head (pruning.drop_sparsity); a union of two
              masks at equal sparsity has the elementwise maximum of theirs
    sweeps    measured curves, none yet = a hint in their place; ``active`` names the score whose curve
              the position mark follows (None: only the vertical line moves)
    sparsity  where the slider starts, on the grid of SWEEP_SPARSITIES
    """
    n_layers = scores.shape[0]
    height = TOP + heatmap.map_height(n_layers) + SLIDER_ROOM + CURVE_ROOM + BOTTOM
    figure = theme.blank(dark, height)
    heatmap.add_map(figure, scores, name, dark)
    start = round(sparsity / GRID_STEP)
    _add_rings(figure, drop, start, dark)
    heatmap.add_selection(figure, selected, n_layers)
    heatmap.add_click_targets(figure, scores, _hover_texts(scores, drop, name))
    add_curves(figure, sweeps, band, dark, "x2", "y2")
    followed = next((sweep for sweep in sweeps if sweep.score == active), None)
    _add_position(figure, followed, start, dark)
    _place_panels(figure, sweeps, band, height)
    if not sweeps:
        theme.hint(figure, "The performance curve has not been measured yet.", dark, y=_share(height)[0] / 2)
    _add_slider(figure, drop, followed, start, height, dark)
    return figure


def scale_of(step: int) -> dict[str, float]:
    """Colour range that puts the middle of the scales half a grid step above the step's sparsity."""
    middle = SWEEP_SPARSITIES[step] + GRID_STEP / 2
    return {"cmin": round(middle - 1, 4), "cmax": round(middle + 1, 4)}


def _add_rings(figure: go.Figure, drop: Tensor, start: int, dark: bool) -> None:
    """A ring for every head, visible while the head's drop sparsity exceeds the slider's position."""
    n_layers, n_heads = drop.shape
    ink = theme.ink(dark)
    figure.add_scatter(
        x=list(range(n_heads)) * n_layers, y=[layer for layer in range(n_layers) for _ in range(n_heads)],
        mode="markers", hoverinfo="skip", name=RINGS,
        marker={
            "symbol": "circle-open", "size": heatmap.ring_size(n_layers), "line": {"width": 1.8},
            "color": [round(value, 2) for value in drop.flatten().tolist()], "cauto": False, **scale_of(start),
            "colorscale": [[0, heatmap.CLEAR], [0.5, heatmap.CLEAR], [0.5, ink], [1, ink]],
        },
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _add_position(figure: go.Figure, followed: SweepLike | None, start: int, dark: bool) -> None:
    """A vertical line and, on the curve followed, a dot at each sparsity; only the slider's own is visible."""
    ink = theme.ink(dark)
    # Marks lie half a grid step (.0025 of the colour range of 2) below the middle of the scale, their neighbours
    # half a step above it and one and a half steps below.
    scale = [[0, heatmap.CLEAR], [0.495, heatmap.CLEAR], [0.495, ink], [0.5, ink], [0.5, heatmap.CLEAR],
             [1, heatmap.CLEAR]]  # fmt: skip
    marker = {"color": list(SWEEP_SPARSITIES), "colorscale": scale, "cauto": False, **scale_of(start)}
    common: dict[str, Any] = {
        "mode": "markers", "hoverinfo": "skip", "showlegend": False, "xaxis": "x2", "yaxis": "y2",
        "unselected": {"marker": {"opacity": 1}},
    }  # fmt: skip
    # One mark as tall as two panels, cut at the axes, is a line through the whole panel.
    tall = {**marker, "symbol": "line-ns-open", "size": 2 * CURVE_ROOM, "line": {"width": 1.5}}
    figure.add_scatter(x=list(SWEEP_SPARSITIES), y=[50] * len(SWEEP_SPARSITIES), name=GUIDE, marker=tall, **common)
    at = _performance_by_step(followed)
    figure.add_scatter(
        x=list(SWEEP_SPARSITIES), y=[at.get(step) for step in range(len(SWEEP_SPARSITIES))], name=POSITION,
        marker={**marker, "size": 13}, cliponaxis=False, **common,
    )  # fmt: skip


def _add_slider(
    figure: go.Figure, drop: Tensor, followed: SweepLike | None, start: int, height: int, dark: bool
) -> None:
    moved = [number for number, trace in enumerate(theme.traces(figure)) if trace.name in (RINGS, POSITION, GUIDE)]
    labels = step_labels(drop, followed)
    steps = []
    for step, label in enumerate(labels):
        scale = {f"marker.{key}": value for key, value in scale_of(step).items()}
        steps.append(
            {
                "method": "restyle", "args": [scale, moved], "label": label, "value": f"{step / 100:.2f}",
                "execute": False,  # the page paints the marks itself, which is faster; figure_html turns it on
            }
        )  # fmt: skip
    curve_top, _ = _share(height)
    figure.update_layout(
        sliders=[
            {
                "active": start, "steps": steps, "x": 0, "len": 1, "y": curve_top, "yanchor": "bottom",
                # The handle's travel is 10 pixels shorter than the slider on both sides: so it is above its mark.
                "pad": {"l": -10, "r": -10, "b": 14, "t": 0},
                "currentvalue": {"xanchor": "left", "offset": 12, "font": {"size": 15, "color": theme.ink(dark)}},
                "font": {"size": 1, "color": heatmap.CLEAR},  # the labels show as the current value only
                "ticklen": 0, "minorticklen": 0, "tickwidth": 0, "bordercolor": theme.page(dark), "borderwidth": 2,
                "bgcolor": theme.SCORE_COLOURS["contrastive_flap"], "activebgcolor": theme.ink(dark),
                "transition": {"duration": 0},
            }
        ]
    )  # fmt: skip


def step_labels(drop: Tensor, followed: SweepLike | None) -> list[str]:
    """What each slider position says: sparsity, heads kept and, where measured, performance."""
    at = _performance_by_step(followed)
    total = drop.numel()
    labels = []
    for step, sparsity in enumerate(SWEEP_SPARSITIES):
        kept = int((drop > sparsity + GRID_STEP / 2).sum())
        measured = f"performance {at[step]:.0f} %" if step in at else "performance not measured"
        labels.append(f"sparsity {sparsity:.2f} · {kept} of {total} heads kept<br>{measured}")
    return labels


def _performance_by_step(sweep: SweepLike | None) -> dict[int, float]:
    if sweep is None:
        return {}
    return {round(p / GRID_STEP): r for p, r in zip(sweep.sparsities, sweep.performance, strict=True)}


def _hover_texts(scores: Tensor, drop: Tensor, name: str) -> list[str]:
    texts = heatmap.hover_texts(scores, name)
    drops = drop.flatten().tolist()
    return [
        text + (f"<br>dropped at sparsity {at:.2f}" if at < 1 else "<br>kept at every sparsity")
        for text, at in zip(texts, drops, strict=True)
    ]


def _share(height: int) -> tuple[float, float]:
    """Top of the curve panel and bottom of the map, as shares of the plotting area."""
    area = height - TOP - BOTTOM
    return CURVE_ROOM / area, (CURVE_ROOM + SLIDER_ROOM) / area


def _place_panels(figure: go.Figure, sweeps: Sequence[SweepLike], band: BandLike | None, height: int) -> None:
    curve_top, map_bottom = _share(height)
    figure.update_layout(
        margin={"l": 56, "r": 24, "t": TOP, "b": BOTTOM},
        yaxis={"domain": [map_bottom, 1]},
        xaxis={"anchor": "y"},
        xaxis2={**sparsity_axis(), "anchor": "y2"},
        yaxis2={**performance_axis(sweeps, band), "anchor": "x2", "domain": [0, curve_top]},
        showlegend=bool(sweeps),
        legend={"x": 0, "yref": "container", "y": 0, "yanchor": "bottom"},
    )
    for trace in theme.traces(figure):
        if trace.xaxis != "x2":
            trace.showlegend = False


