"""Performance against sparsity: both scores' curves, their cliff points, random head sets for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.results import SCORE_NAMES, BandLike, SweepLike
from engine.pruning.cliffs import Cliffs

CLIFF_SYMBOLS = {"first": "triangle-down", "biggest": "diamond", "fixed": "square"}


def sparsity_figure(
    sweeps: Sequence[SweepLike], *, band: BandLike | None, dark: bool, sparsity: float | None = None
) -> go.Figure:
    """The curves on their own. ``sparsity`` draws the line of the current position."""
    figure = theme.blank(dark, 380)
    add_curves(figure, sweeps, band, dark, "x", "y")
    figure.update_layout(xaxis=sparsity_axis(), yaxis=performance_axis(sweeps, band), hoverdistance=30)
    if sparsity is not None:
        figure.add_vline(x=sparsity, line={"color": theme.ink(dark), "width": 1.5})
    return figure


def add_curves(
    figure: go.Figure, sweeps: Sequence[SweepLike], band: BandLike | None, dark: bool, xaxis: str, yaxis: str
) -> None:
    """Band, curves and cliff markers on the named axes. Curve points carry ``customdata = ["sparsity", p]``."""
    if band is not None:
        _add_band(figure, band, dark, xaxis, yaxis)
    for sweep in sweeps:
        _add_curve(figure, sweep, xaxis, yaxis)
    for number, sweep in enumerate(sweeps):
        _add_cliffs(figure, sweep, dark, above=number == 0, xaxis=xaxis, yaxis=yaxis)
    if sweeps:
        figure.add_shape(
            type="line", x0=0, x1=1, xref=f"{xaxis} domain", y0=100, y1=100, yref=yaxis, layer="below",
            line={"color": theme.muted(dark), "width": 1, "dash": "dot"},
        )  # fmt: skip


def sparsity_axis() -> dict[str, object]:
    """0 to .99, ruled in tenths."""
    return {
        "range": [0, 0.99], "dtick": 0.1, "tickformat": ".1f", "fixedrange": True,
        "title": {"text": "sparsity (share of heads mean-ablated)", "standoff": 8},
    }  # fmt: skip


def performance_axis(sweeps: Sequence[SweepLike], band: BandLike | None) -> dict[str, object]:
    """From the lowest to the highest value shown, and always 0 and 100 %."""
    values = [0.0, 100.0, *(value for sweep in sweeps for value in sweep.performance)]
    if band is not None:
        values += [*band.low, *band.high]
    room = 0.12 * (max(values) - min(values))
    return {
        "range": [min(values) - room, max(values) + room], "fixedrange": True,
        "title": {"text": "performance (%)"}, "nticks": 6,
    }  # fmt: skip


def _add_band(figure: go.Figure, band: BandLike, dark: bool, xaxis: str, yaxis: str) -> None:
    """Low to high as one closed outline, the median inside it."""
    x = [*band.sparsities, *reversed(band.sparsities)]
    grey = theme.muted(dark)
    figure.add_scatter(
        x=x, y=[*band.high, *reversed(band.low)], fill="toself", fillcolor=theme.fade(grey, 0.20), mode="lines",
        line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup="band", xaxis=xaxis, yaxis=yaxis,
    )  # fmt: skip
    figure.add_scatter(
        x=list(band.sparsities), y=list(band.median), mode="lines", line={"color": grey, "width": 1.2},
        name=f"{band.draws} random head sets", legendgroup="band", xaxis=xaxis, yaxis=yaxis,
        hovertemplate="random sets of the same size, median %{y:.0f} %<extra></extra>",
    )  # fmt: skip


def _add_curve(figure: go.Figure, sweep: SweepLike, xaxis: str, yaxis: str) -> None:
    name = SCORE_NAMES[sweep.score]
    figure.add_scatter(
        x=list(sweep.sparsities), y=list(sweep.performance), mode="lines", name=name, xaxis=xaxis, yaxis=yaxis,
        line={"color": theme.SCORE_COLOURS[sweep.score], "width": 2.6, "dash": DASHES[sweep.score]},
        text=[f"{size} heads kept" for size in sweep.sizes],
        customdata=[["sparsity", sparsity] for sparsity in sweep.sparsities],
        hovertemplate=f"<b>{name}</b> at sparsity %{{x:.2f}}<br>performance %{{y:.1f}} %<br>%{{text}}<extra></extra>",
    )  # fmt: skip


# Told apart without colour, too.
DASHES = {
    "flap": "dash", "contrastive_flap": "solid", "merged": "dashdot", "output_difference": "dot",
    "attribution": "longdash", "position_attribution": "longdashdot", "integrated_attribution": "5px,2px",
    "walk": "8px,2px,2px,2px", "rank_sum": "12px,3px,3px,3px", "equal_union": "2px,6px", "walk_union": "14px,4px",
}  # fmt: skip


def _add_cliffs(figure: go.Figure, sweep: SweepLike, dark: bool, above: bool, xaxis: str, yaxis: str) -> None:
    points = _cliff_points(sweep.cliffs)
    figure.add_scatter(
        x=[sweep.sparsities[index] for index, _, _ in points],
        y=[sweep.performance[index] for index, _, _ in points],
        mode="markers+text", showlegend=False, xaxis=xaxis, yaxis=yaxis, cliponaxis=False,
        text=[names for _, names, _ in points], textposition="top center" if above else "bottom center",
        textfont={"size": 12, "color": theme.ink(dark)},
        marker={"symbol": [CLIFF_SYMBOLS[names.split(" = ")[0]] for _, names, _ in points], "size": 11,
                "color": theme.SCORE_COLOURS[sweep.score], "line": {"width": 1.5, "color": theme.page(dark)}},
        customdata=[["sparsity", sweep.sparsities[index]] for index, _, _ in points],
        hovertext=[reasons for _, _, reasons in points], hovertemplate="%{hovertext}<extra></extra>",
        unselected={"marker": {"opacity": 1}, "textfont": {"color": theme.ink(dark)}},
    )  # fmt: skip


def _cliff_points(cliffs: Cliffs) -> list[tuple[int, str, str]]:
    """(index, names, reasons) of each distinct point: cliffs that coincide share a marker."""
    ordered = sorted(cliffs.all(), key=lambda cliff: cliff.index)
    points = []
    for index, group in groupby(ordered, key=lambda cliff: cliff.index):
        same = list(group)
        names = " = ".join(cliff.kind.value for cliff in same)
        reasons = "<br>".join(f"<b>{cliff.kind.value} cliff</b>: {cliff.reason}" for cliff in same)
        points.append((index, names, reasons))
    return points
