"""Size to the right, quality upward: what the plots of unions and of trials have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import plotly.graph_objects as go

from engine.figures import theme

HEIGHT = 420
Point = TypeVar("Point")
Place = tuple[int, float]  # size and quality


def together(points: Sequence[Point], at: Callable[[Point], Place]) -> list[list[Point]]:
    """Those that share a place, smallest size first; within one place in order."""
    found: dict[Place, list[Point]] = {}
    for point in points:
        found.setdefault(at(point), []).append(point)
    return [found[place] for place in sorted(found)]


def lay_out(
    figure: go.Figure, sizes: Sequence[int], qualities: Sequence[float], size: str, quality: str
) -> tuple[float, float]:
    """Both axes, reaching all ``sizes`` and ``qualities``; where the first ends and where the second."""
    room = 0.1 * (max(qualities) - min(qualities))
    right, high = 1.06 * max(1, *sizes), max(qualities) + room
    figure.update_layout(
        xaxis={"range": [0, right], "title": {"text": size, "standoff": 8}, "fixedrange": True},
        yaxis={"range": [min(qualities) - room, high], "title": {"text": quality}, "fixedrange": True, "nticks": 7},
        margin={"t": 56}, hoverdistance=14,
    )  # fmt: skip
    return right, high


def add_good_corner(figure: go.Figure, right: float, low: float, high: float) -> None:
    """Shaded: good and small enough."""
    figure.add_shape(
        type="rect", x0=0, x1=right, y0=low, y1=high, layer="below", line={"width": 0},
        fillcolor=theme.fade(theme.GOOD, 0.10),
    )  # fmt: skip


def add_stair(figure: go.Figure, front: Sequence[Place], right: float, dark: bool) -> None:
    """The Pareto front: the best quality of at most so many heads."""
    figure.add_scatter(
        x=[*(size for size, _ in front), right], y=[*(quality for _, quality in front), front[-1][1]],
        mode="lines", name="Pareto front", hoverinfo="skip",
        line={"color": theme.muted(dark), "width": 1.5, "shape": "hv"},
    )  # fmt: skip


def add_selected(figure: go.Figure) -> None:
    """An empty ring, which the page puts around what is looked at."""
    figure.add_scatter(
        x=[], y=[], mode="markers", hoverinfo="skip", name="selected", showlegend=False,
        marker={"symbol": "circle-open", "size": 22, "color": theme.ACCENT, "line": {"width": 3}},
    )  # fmt: skip
