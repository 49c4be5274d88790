"""The edges of a graph: curves between nodes, and the invisible markers that answer for them.

Colour says which input an edge enters, width is its strength, dashes mean that patching it raises the metric.
Plotly has one width a trace, so edges are binned into WIDTHS; all curves are computed at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Edge, Input
from engine.figures import theme

WIDTHS = (1.0, 1.8, 2.8, 4.0, 5.5, 7.0)  # pixels, for strengths in equal parts of the largest
CURVE_POINTS = 14
DASH = "5px,3px"
FADED = 0.12
SHADES = (0.2, 0.4, 0.6, 0.8, 1.0)  # opacities that shares are told apart by
MOST_PLACED = 400  # edges that decide where nodes go: counting crossings grows with the square of them
Place = Mapping[Hashable, tuple[float, float]]


class Link(Protocol):
    """What is drawn as an edge; ``receiver`` is None for the logits."""

    @property
    def sender(self) -> Hashable: ...
    @property
    def receiver(self) -> Hashable: ...
    @property
    def input(self) -> Input: ...
    @property
    def effect(self) -> float: ...


L = TypeVar("L", bound=Link)


def receiver_of(link: Link) -> Hashable:
    return LOGITS_NODE if link.receiver is None else link.receiver


def deciding_edges(links: Sequence[L], strength: Callable[[L], float]) -> list[tuple[Hashable, Hashable]]:
    """Both ends of the strongest links: those a reader sees, and no more than a layout takes in at once."""
    strongest = sorted(links, key=strength, reverse=True)[:MOST_PLACED]
    return [(link.sender, receiver_of(link)) for link in strongest]


def width_of(strength: float, largest: float) -> float:
    """Line width in pixels."""
    part = min(abs(strength) / largest, 1.0)
    return WIDTHS[min(int(part * len(WIDTHS)), len(WIDTHS) - 1)]


def curves(links: Sequence[Link], places: Place, bows: Sequence[float] | None = None) -> np.ndarray:
    """Points ``[link xy point]`` of cubic Bezier curves that leave upward and arrive from below.

    An edge over several rows bows away from the middle, so that it does not run through the nodes between;
    ``bows`` says otherwise how far each bows, to the right if positive.
    """
    ends = np.array([[*places[link.sender], *places[receiver_of(link)]] for link in links], dtype=float).reshape(-1, 4)
    x0, y0, x1, y1 = ends.T
    rise = y1 - y0
    bow = np.asarray(bows, dtype=float) if bows is not None else _bow(rise, x0 + x1)
    t = np.linspace(0, 1, CURVE_POINTS)
    weights = np.stack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3])  # [control point]
    xs = np.stack([x0, x0 + bow, x1 + bow, x1], axis=1) @ weights
    ys = np.stack([y0, y0 + 0.4 * rise, y1 - 0.4 * rise, y1], axis=1) @ weights
    return np.stack([xs, ys], axis=1).round(3)


def _bow(rise: np.ndarray, side: np.ndarray) -> np.ndarray:
    return np.where(rise > 1, 0.22 * np.maximum(rise - 1, 0) ** 0.7 * np.where(side >= 0, 1, -1), 0.0)


def add_edges(
    figure: go.Figure,
    links: Sequence[L],
    points: np.ndarray,
    strength: Callable[[L], float],
    largest: float,
    is_faded: Callable[[L], bool],
    faint: float = FADED,
    shade: Callable[[L], float] = lambda link: 1.0,
) -> None:
    """One trace for each (input, dash, width, faded, shade) among the links; ``points`` as of ``curves``.

    ``faint`` is the opacity of those faded; that of others is multiplied by ``shade``, one of SHADES.
    """
    groups: defaultdict[tuple[Input, bool, float, bool, float], list[int]] = defaultdict(list)
    for number, link in enumerate(links):
        width = width_of(strength(link), largest)
        groups[link.input, link.effect > 0, width, is_faded(link), shade(link)].append(number)
    for (entry, raises, width, faded, part), numbers in sorted(
        groups.items(), key=lambda item: (not item[0][3], item[0][4], item[0][2])
    ):
        x, y = (with_gaps(points[numbers, axis]) for axis in (0, 1))
        figure.add_scatter(
            x=x, y=y, mode="lines", hoverinfo="skip", showlegend=False, legendgroup=entry.value, name="edges",
            meta={"input": entry.value, "edges": len(numbers)},
            line={"color": theme.fade(theme.INPUT_COLOURS[entry], faint if faded else part * (0.55 + 0.06 * width)),
                  "width": width, "dash": DASH if raises else "solid", "shape": "spline"},
        )  # fmt: skip


def shade_of(share: float) -> float:
    """The opacity, one of SHADES, that stands for a share; full where nothing is known (NaN)."""
    return next((shade for shade in SHADES if share <= shade), SHADES[-1])


def with_gaps(rows: np.ndarray) -> np.ndarray:
    """Rows one after another, each ended by NaN: Plotly lifts the pen there. Single precision: half to send."""
    return np.pad(rows, ((0, 0), (0, 1)), constant_values=np.nan).ravel().astype(np.float32)


def add_edge_targets(
    figure: go.Figure, links: Sequence[L], points: np.ndarray, says: Callable[[L], str], sends: Callable[[L], list[Any]]
) -> None:
    """The invisible markers at the middle of each curve: ``says`` on hover, ``sends`` when clicked."""
    half = CURVE_POINTS // 2
    middles = points[:, :, half - 1 : half + 1].mean(axis=2).tolist()
    figure.add_scatter(
        x=[x for x, _ in middles], y=[y for _, y in middles], mode="markers", name="edge targets", showlegend=False,
        marker={"size": 14, "color": "rgba(0,0,0,0)"},
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        customdata=[sends(link) for link in links],
        text=[says(link) for link in links], hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def edge_text(edge: Edge) -> str:
    """What an edge says on hover."""
    into = into_text(edge)
    direction = "lowers" if edge.effect < 0 else "raises"
    shared = "<br>one effect of the whole KV group (shared edge)" if edge.shared else ""
    return f"<b>{edge.sender} → {into}</b><br>effect {edge.effect:+.3f}: patching it {direction} the metric{shared}"


def into_text(edge: Edge) -> str:
    """Where an edge enters, in words."""
    if edge.receiver is None:
        return "the logits"
    return f"MLP {edge.receiver}" if edge.input is Input.MLP else f"{edge.receiver} through its {edge.input.value}"


def edge_data(edge: Edge) -> list[str]:
    """What a click on an edge sends: ``["23.0", "23.3", "q"]``."""
    return [str(edge.sender), str(receiver_of(edge)), edge.input.value]


def add_legend(figure: go.Figure, links: Sequence[Link], dark: bool) -> None:
    """An entry for each input in use, and what dashes mean. A click on an input hides its edges."""
    present = {link.input for link in links}
    for entry in Input:
        if entry in present:
            figure.add_scatter(
                x=[None], y=[None], mode="lines", name=f"into {entry.value}", legendgroup=entry.value,
                line={"color": theme.INPUT_COLOURS[entry], "width": 4},
            )  # fmt: skip
    for raises, dash in ((False, "solid"), (True, DASH)):
        if any((link.effect > 0) == raises for link in links):
            figure.add_scatter(
                x=[None], y=[None], mode="lines", line={"color": theme.muted(dark), "width": 2, "dash": dash},
                name="patching raises the metric" if raises else "patching lowers the metric",
            )  # fmt: skip
