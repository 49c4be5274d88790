"""Several searches of one task: how small and how faithful their circuits are, and what each took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.tables import Row

if TYPE_CHECKING:
    from engine.figures.results import ContestLike, NearnessLike

DENSE = "dense"
HEIGHT, BAR = 400, 34  # pixels; of a bar with what lies around it
ROOM, LEAST_ROOM = 0.12, 0.08  # of the axis, and of faithfulness, beyond the outermost marks
FEW = 10  # heads, below which each has a tick
LEGEND = 22  # pixels, of a line of two
APART = 0.02  # of the axis, between marks of one size


def contest_figure(names: Sequence[str], rows: Sequence[ContestLike], *, dark: bool) -> go.Figure:
    """Size to the right (heads), faithfulness upward (a ratio) with its interval, one mark a verified run.

    A colour an algorithm; a diamond searched among all heads, a circle inside a mask. Marks of one size stand beside
    each other, or they would hide one another; the dotted line is the whole model. ``names``: one a row.
    """
    figure = theme.blank(dark, HEIGHT)
    shown = [place for place, row in enumerate(rows) if math.isfinite(row.faithfulness)]
    if not shown:
        theme.hint(figure, "No circuit has a measured faithfulness yet.", dark)
        return figure
    right, low, high = _reach([rows[place] for place in shown])
    _add_whole_model(figure, dark)
    shifts = _shifts([rows[place].size for place in shown], APART * right)
    for place, shift in zip(shown, shifts, strict=True):
        _add_mark(figure, names[place], rows[place], shift, dark)
    figure.update_layout(
        xaxis={"range": [-0.02 * right, right], "title": {"text": "heads in the circuit", "standoff": 8},
               "fixedrange": True, "dtick": 1 if right < FEW else None},
        yaxis={"range": [low, high], "title": {"text": "faithfulness (ratio)"}, "fixedrange": True, "nticks": 7},
        margin={"t": 24 + LEGEND * math.ceil(len(shown) / 2)}, hoverdistance=14,
    )  # fmt: skip
    return figure


def cost_figure(names: Sequence[str], rows: Sequence[ContestLike], *, dark: bool) -> go.Figure:
    """A bar a run: GFLOP of the whole of it, seconds beside it; the first row on top. Logarithmic."""
    figure = theme.blank(dark, 90 + BAR * len(rows))
    costs = [row.gigaflops for row in rows]
    if not any(cost > 0 for cost in costs):
        theme.hint(figure, "Nothing has been run yet.", dark)
        return figure
    places = list(range(len(rows)))
    floor = min(cost for cost in costs if cost > 0) / 3
    figure.add_bar(
        x=costs, y=places, orientation="h", width=0.62, showlegend=False,
        marker={"color": [_colour(row) for row in rows], "line": {"width": 0},
                "pattern": {"shape": ["/" if row.method == DENSE else "" for row in rows], "size": 7}},
        text=[f"{_few(row.gigaflops)} GFLOP · {_few(row.seconds)} s" for row in rows], textposition="outside",
        textfont={"size": 12, "color": theme.ink(dark)}, cliponaxis=False,
        hovertext=[_cost_hover(name, row) for name, row in zip(names, rows, strict=True)],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    ends = [math.log10(floor), math.log10(max(costs)) + 0.7 * math.log10(max(costs) / floor)]
    figure.update_layout(
        xaxis={"type": "log", "range": ends, "title": {"text": "GFLOP, logarithmic", "standoff": 8},
               "fixedrange": True, "dtick": 1},
        yaxis={"tickvals": places, "ticktext": list(names), "range": [len(rows) - 0.5, -0.5], "fixedrange": True,
               "showgrid": False, "tickfont": {"size": 13, "color": theme.ink(dark)}, "automargin": True},
    )  # fmt: skip
    return figure


def contest_rows(names: Sequence[str], rows: Sequence[ContestLike]) -> list[Row]:
    """One row a run; None for what was not measured, or has nothing to be held against."""
    return [_row(name, row) for name, row in zip(names, rows, strict=True)]


def _row(name: str, row: ContestLike) -> Row:
    bounds = row.interval
    return {
        "search": name, "algorithm": str(row.algorithm), "method": str(row.method), "complete": row.complete,
        "candidates": row.candidates, "heads": row.size, "edges": row.edge_count,
        "performance %": known(row.performance), "faithfulness": known(row.faithfulness),
        "faithfulness, low": None if bounds is None else known(bounds.low),
        "faithfulness, high": None if bounds is None else known(bounds.high),
        "n": row.n or None, "seed": row.seed, "ablation": None if row.ablation is None else str(row.ablation),
        **_shares("heads", row.heads), **_shares("edges", row.edges),
        "GFLOP": row.gigaflops, "seconds": row.seconds,
    }  # fmt: skip


def _shares(of: str, near: NearnessLike | None) -> Row:
    """Three columns, against the standard."""
    names = ("precision", "recall", "jaccard")
    return {f"{name}, {of}": None if near is None else known(getattr(near, name)) for name in names}


def known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _reach(rows: Sequence[ContestLike]) -> tuple[float, float, float]:
    """End of the size axis, and both ends of that of faithfulness, with every interval and the 1 in sight."""
    values = [1.0, *(row.faithfulness for row in rows)]
    values += [end for row in rows if row.interval is not None for end in (row.interval.low, row.interval.high)]
    finite = [value for value in values if math.isfinite(value)]
    room = max(ROOM * (max(finite) - min(finite)), LEAST_ROOM)
    return 1.15 * max(1, *(row.size for row in rows)), min(finite) - room, max(finite) + room


def _add_whole_model(figure: go.Figure, dark: bool) -> None:
    line = {"color": theme.muted(dark), "width": 1, "dash": "dot"}
    figure.add_shape(type="line", x0=0, x1=1, xref="paper", y0=1, y1=1, line=line, layer="below")


def _shifts(sizes: Sequence[int], step: float) -> list[float]:
    """How far each mark stands from its size, so that those of one size are around it."""
    return [
        step * (sizes[:place].count(size) - (sizes.count(size) - 1) / 2) for place, size in enumerate(sizes)
    ]  # fmt: skip


def _add_mark(figure: go.Figure, name: str, row: ContestLike, shift: float, dark: bool) -> None:
    colour, bounds = _colour(row), row.interval
    error = None
    if bounds is not None and math.isfinite(bounds.low) and math.isfinite(bounds.high):
        error = {"type": "data", "symmetric": False, "array": [bounds.high - row.faithfulness],
                 "arrayminus": [row.faithfulness - bounds.low], "color": theme.fade(colour, 0.55), "thickness": 3,
                 "width": 0}  # fmt: skip
    figure.add_scatter(
        x=[row.size + shift], y=[row.faithfulness], mode="markers", name=name, error_y=error, cliponaxis=False,
        hovertext=[_hover(name, row)], hovertemplate="%{hovertext}<extra></extra>",
        marker={"symbol": "diamond" if row.method == DENSE else "circle", "size": 13, "color": colour,
                "line": {"width": 1.6, "color": theme.page(dark)}},
    )  # fmt: skip


def _colour(row: ContestLike) -> str:
    return theme.SEARCH_COLOURS[row.algorithm]


def _hover(name: str, row: ContestLike) -> str:
    bounds = row.interval
    within = f", 95 % interval {bounds.low:.3f} to {bounds.high:.3f}" if bounds is not None else ""
    return (
        f"<b>{name}</b><br>{row.size} heads, {row.edge_count} edges<br>faithfulness {row.faithfulness:.3f}{within}"
        f"<br>performance {row.performance:.1f} %<br>n = {row.n} pairs, seed {row.seed}, {row.ablation} ablation"
    )  # fmt: skip


def _cost_hover(name: str, row: ContestLike) -> str:
    whole = "" if row.complete else "<br>stopped: its part"
    return f"<b>{name}</b><br>{row.gigaflops:,.2f} GFLOP, {row.seconds:,.2f} s, the whole run{whole}"


def _few(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
