"""Faithfulness by circuit size: nested circuits from no head to all of them."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from engine.evaluation.bootstrap import Interval
from engine.evaluation.by_size import BySize
from engine.figures import theme
from engine.figures.tables import Row, rounded

HEIGHT = 380
TICKS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)


def by_size_figure(found: BySize, own: tuple[int, Interval] | None, dark: bool) -> go.Figure:
    """Faithfulness over the share of heads kept, with intervals; ``own`` is the circuit's size and faithfulness.

    The axis of sizes runs by the square root of the share, so that small circuits are not lost at its end.
    """
    figure = theme.blank(dark, HEIGHT)
    points = [
        (_place(size / len(found.ranking)), size, each)
        for size, each in zip(found.sizes, found.faithfulness, strict=True)
        if each.defined
    ]
    if not points:
        theme.hint(figure, "There are no shares to draw.", dark)
        return figure
    _add_whole_model(figure, dark)
    _add_band(figure, points)
    colour = theme.SCORE_COLOURS["contrastive_flap"]
    figure.add_scatter(
        x=[x for x, _, _ in points], y=[each.value for _, _, each in points], mode="lines+markers",
        name="its strongest heads first, then by C-FLAP", line={"color": colour, "width": 2.4}, marker={"size": 8},
        cliponaxis=False, customdata=[[size, each.words("{:.3f}")] for _, size, each in points],
        hovertemplate=f"%{{customdata[0]}} of {len(found.ranking)} heads<br>faithfulness %{{customdata[1]}}"
                      "<extra></extra>",
    )  # fmt: skip
    if own is not None and own[1].defined:
        _add_own(figure, own[0], own[1], len(found.ranking), dark)
    values = [0.0, 1.0, *(each.value for _, _, each in points), *([own[1].value] if own and own[1].defined else [])]
    values += [bound for _, _, each in points for bound in (each.low, each.high) if math.isfinite(bound)]
    room = 0.06 * (max(values) - min(values))
    figure.update_layout(
        xaxis={"title": {"text": "heads kept"}, "tickvals": [_place(share) for share in TICKS], "fixedrange": True,
               "ticktext": [f"{100 * share:g} %" for share in TICKS], "range": [-0.02, 1.02]},
        yaxis={"title": {"text": "faithfulness"}, "fixedrange": True, "nticks": 7, "zeroline": True,
               "zerolinecolor": theme.grid(dark), "range": [min(values) - room, max(values) + room]},
        margin={"t": 52},
    )  # fmt: skip
    return figure


def by_size_rows(found: BySize) -> list[Row]:
    """One row a size."""
    return [
        {
            "heads": size, "share of all heads": round(share, 6), "faithfulness": rounded(each.value),
            "low": rounded(each.low), "high": rounded(each.high), "pairs": each.n,
            "last head added": str(found.ranking[size - 1]) if size else "",
        }
        for size, share, each in zip(found.sizes, found.shares, found.faithfulness, strict=True)
    ]  # fmt: skip


def _place(share: float) -> float:
    return math.sqrt(share)


def _add_whole_model(figure: go.Figure, dark: bool) -> None:
    figure.add_scatter(
        x=[0, 1], y=[1, 1], mode="lines", hoverinfo="skip", name="the whole model",
        line={"color": theme.muted(dark), "width": 1.2, "dash": "dot"},
    )  # fmt: skip


def _add_band(figure: go.Figure, points: list[tuple[float, int, Interval]]) -> None:
    known = [(x, each) for x, _, each in points if each.known]
    if len(known) < 2:
        return
    x = [place for place, _ in known]
    figure.add_scatter(
        x=[*x, *reversed(x)], y=[*(each.high for _, each in known), *reversed([each.low for _, each in known])],
        fill="toself", fillcolor=theme.fade(theme.SCORE_COLOURS["contrastive_flap"], 0.2), mode="lines",
        line={"width": 0}, hoverinfo="skip", name="95 % interval",
    )  # fmt: skip


def _add_own(figure: go.Figure, size: int, found: Interval, heads: int, dark: bool) -> None:
    whiskers = {"array": [found.high - found.value], "arrayminus": [found.value - found.low]} if found.known else {}
    figure.add_scatter(
        x=[_place(size / heads)], y=[found.value], mode="markers", name="this circuit", cliponaxis=False,
        marker={"symbol": "diamond", "size": 13, "color": theme.ACCENT,
                "line": {"width": 1, "color": theme.page(dark)}},
        error_y={"type": "data", "symmetric": False, "color": theme.ACCENT, "thickness": 1.5, "width": 4, **whiskers},
        customdata=[[size, found.words("{:.3f}")]],
        hovertemplate=f"this circuit: %{{customdata[0]}} of {heads} heads<br>faithfulness %{{customdata[1]}}"
                      "<extra></extra>",
    )  # fmt: skip
