"""How many pairs are enough: intervals that narrow as pairs are added."""

from __future__ import annotations

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.results import EnoughLike
from engine.figures.tables import Row

HEIGHT = 330
COLOURS = ("#7c6cf2", "#e0930a", "#12a383", "#3b8eea", "#c8559b")  # of the top heads, best first
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star")
SPREAD = 0.13  # between neighbouring heads at one number of pairs


def metric_figure(enough: EnoughLike, name: str, dark: bool) -> go.Figure:
    """The mean clean metric, called ``name``: median and 95 % interval as a band over the number of pairs."""
    figure = theme.blank(dark, HEIGHT)
    at = list(range(len(enough.stages)))
    intervals = [stage.metric for stage in enough.stages]
    low, high = [each.low for each in intervals], [each.high for each in intervals]
    colour = theme.SCORE_COLOURS["flap"]
    figure.add_scatter(
        x=[*at, *reversed(at)], y=[*high, *reversed(low)], fill="toself", fillcolor=theme.fade(colour, 0.22),
        mode="lines", line={"color": theme.fade(colour, 0.7), "width": 1}, hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    figure.add_scatter(
        x=at, y=[each.middle for each in intervals], mode="lines+markers", showlegend=False,
        line={"color": colour, "width": 2.4}, marker={"size": 7},
        text=[_span(each.low, each.high) for each in intervals], customdata=[stage.size for stage in enough.stages],
        hovertemplate="%{customdata} pairs: median %{y:+.2f}, 95 % of drawings from %{text}<extra></extra>",
    )  # fmt: skip
    _axes(figure, enough, name)
    return figure


def scores_figure(enough: EnoughLike, dark: bool) -> go.Figure:
    """Contrastive-FLAP scores of the top heads, each number of pairs with the 95 % interval of every one.

    Marks carry ``customdata = [layer, head]``.
    """
    figure = theme.blank(dark, HEIGHT)
    for number, head in enumerate(enough.heads):
        intervals = [stage.scores[number] for stage in enough.stages]
        colour, shift = COLOURS[number % len(COLOURS)], SPREAD * (number - (len(enough.heads) - 1) / 2)
        figure.add_scatter(
            x=[place + shift for place in range(len(intervals))], y=[each.middle for each in intervals],
            mode="markers", name=f"head {head}", marker={"size": 9, "color": colour, "symbol": SYMBOLS[number % 5]},
            error_y={"type": "data", "symmetric": False, "color": theme.fade(colour, 0.6), "thickness": 4, "width": 0,
                     "array": [each.high - each.middle for each in intervals],
                     "arrayminus": [each.middle - each.low for each in intervals]},
            customdata=[[head.layer, head.index]] * len(intervals),
            text=[_span(each.low, each.high) for each in intervals],
            hovertemplate=f"<b>head {head}</b><br>C-FLAP, median %{{y:+.2f}} z<br>95 % of drawings from %{{text}}"
                          "<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )  # fmt: skip
    _axes(figure, enough, "C-FLAP score (z)")
    figure.update_layout(margin={"t": 44})
    return figure


def enough_rows(enough: EnoughLike) -> list[Row]:
    """One row a number of pairs and quantity; intervals are 95 %."""
    rows: list[Row] = []
    for stage in enough.stages:
        named = [("mean metric, clean", stage.metric)]
        named += [(f"C-FLAP of {head}", each) for head, each in zip(enough.heads, stage.scores, strict=True)]
        rows += [
            {
                "pairs": stage.size,
                "of": name,
                "low": round(each.low, 6),
                "median": round(each.middle, 6),
                "high": round(each.high, 6),
                "all pairs": round(each.value, 6),
                "top heads kept": round(stage.overlap, 4),
                "same top heads": round(stage.unchanged, 4),
            }
            for name, each in named
        ]
    return rows


def _axes(figure: go.Figure, enough: EnoughLike, name: str) -> None:
    sizes = [str(stage.size) for stage in enough.stages]
    figure.update_layout(
        xaxis={"tickvals": list(range(len(sizes))), "ticktext": sizes, "range": [-0.5, len(sizes) - 0.5],
               "title": {"text": "prompt pairs"}, "showgrid": False, "fixedrange": True},
        yaxis={"title": {"text": name}, "nticks": 6, "fixedrange": True, "zeroline": True},
    )  # fmt: skip


def _span(low: float, high: float) -> str:
    return f"{low:+.2f} to {high:+.2f}".replace("-", "−")
