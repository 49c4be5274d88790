"""Both scores of every head against each other: on the diagonal they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from engine.figures import theme
from engine.heads import Head
from engine.pruning.masks import KEEPERS, kept_by
from engine.scores.ranking import ranks

if TYPE_CHECKING:
    from torch import Tensor

SYMBOLS: dict[str, str] = dict(zip(KEEPERS, ("circle", "triangle-up", "square", "circle-open"), strict=True))
LEGEND: dict[str, str] = {
    "both": "kept by both", "C-FLAP": "by C-FLAP alone", "FLAP": "by FLAP alone", "neither": "by neither",
}  # fmt: skip
WIDE, TALL = 0.05, 0.05  # room a label takes, as a share of the axes
TOP_LABELS, APART_LABELS = 3, 4  # of each score's first heads, and of the largest rank differences to either side


@dataclass(frozen=True, eq=False)
class Placed:
    """Both scores [layer head] and where they put each head's mark; ``of`` is "rank" or "score"."""

    flap: Tensor
    contrastive: Tensor
    of: str

    @property
    def x(self) -> Tensor:
        return ranks(self.flap) if self.of == "rank" else self.flap

    @property
    def y(self) -> Tensor:
        return ranks(self.contrastive) if self.of == "rank" else self.contrastive

    @property
    def reach(self) -> list[float]:
        """From the lowest to the highest value on either axis."""
        return [min(float(self.x.min()), float(self.y.min())), max(float(self.x.max()), float(self.y.max()))]

    def at(self, heads: Sequence[Head]) -> tuple[list[float], list[float]]:
        """x and y of some heads."""
        across, upward = self.x.tolist(), self.y.tolist()
        return [across[head.layer][head.index] for head in heads], [upward[head.layer][head.index] for head in heads]


def agreement_figure(
    placed: Placed, flap_kept: Tensor, contrastive_kept: Tensor, *, dark: bool, colour: str = "list"
) -> go.Figure:
    """FLAP to the right, Contrastive-FLAP upward, one mark a head; rank 1 is at the far end of both axes.

    The keep masks [layer head] make the marks' shapes and, with ``colour`` "list", their colours; with "layer"
    colours are layers. Marks carry ``customdata = [layer, head]``.
    """
    figure = theme.blank(dark, 540)
    figure.add_scatter(
        x=placed.reach, y=placed.reach, mode="lines", hoverinfo="skip", name="diagonal", showlegend=False,
        line={"color": theme.muted(dark), "width": 1, "dash": "dot"},
    )  # fmt: skip
    keeper = kept_by(flap_kept, contrastive_kept)
    hover = _hover_texts(placed, keeper)
    for name in reversed(KEEPERS):  # what is kept lies on top
        _add_marks(figure, name, [i for i, each in enumerate(keeper) if each == name], placed, hover, colour, dark)
    _add_labels(figure, placed, dark)
    figure.add_scatter(
        x=[], y=[], mode="markers", hoverinfo="skip", name="selected", showlegend=False,
        marker={"symbol": "circle-open", "size": 18, "color": theme.ACCENT, "line": {"width": 3}},
    )  # fmt: skip
    _lay_out(figure, placed)
    if colour == "layer":
        _add_layer_bar(figure, placed.flap.shape[0], dark)
    return figure


def notable(flap: Tensor, contrastive: Tensor) -> list[Head]:
    """The heads worth a label: the first of each ranking, and those the two rankings place farthest apart."""
    apart = (ranks(flap) - ranks(contrastive)).flatten()
    firsts = [values.flatten().argsort(descending=True)[:TOP_LABELS] for values in (flap, contrastive)]
    farthest = [apart.argsort(descending=True)[:APART_LABELS], apart.argsort()[:APART_LABELS]]
    numbers = dict.fromkeys(i for order in (*firsts, *farthest) for i in order.tolist())
    return [_head(i, flap) for i in numbers]


def spread_out(heads: Sequence[Head], placed: Placed) -> list[Head]:
    """Those of ``heads``, first come first served, whose labels do not lie on each other."""
    low, high = placed.reach
    kept: list[tuple[Head, float, float]] = []
    for head, x, y in zip(heads, *placed.at(heads), strict=True):
        if all(abs(x - a) > WIDE * (high - low) or abs(y - b) > TALL * (high - low) for _, a, b in kept):
            kept.append((head, x, y))
    return [head for head, _, _ in kept]


def _head(number: int, scores: Tensor) -> Head:
    return Head(*divmod(number, scores.shape[1]))


def _add_marks(
    figure: go.Figure, name: str, numbers: list[int], placed: Placed, hover: list[str], colour: str, dark: bool
) -> None:
    heads = [_head(i, placed.flap) for i in numbers]
    x, y = placed.at(heads)
    marker: dict[str, Any] = {"color": list_colour(name, dark)}
    if colour == "layer":
        marker = {"color": [head.layer for head in heads], "coloraxis": "coloraxis"}
    marker |= {"symbol": SYMBOLS[name], "size": 7 if name == "neither" else 9}
    marker["line"] = {"width": 1.4} if name == "neither" else {"width": 0.5, "color": theme.page(dark)}
    figure.add_scatter(
        x=x, y=y, mode="markers", name=LEGEND[name], customdata=[[head.layer, head.index] for head in heads],
        text=[hover[i] for i in numbers], hovertemplate="%{text}<extra></extra>", marker=marker, cliponaxis=False,
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def list_colour(name: str, dark: bool) -> str:
    """Of one of KEEPERS."""
    colours: dict[str, str] = {
        "both": theme.CHOSEN, "C-FLAP": theme.SCORE_COLOURS["contrastive_flap"], "FLAP": theme.SCORE_COLOURS["flap"],
    }  # fmt: skip
    return colours.get(name, theme.muted(dark))


def _hover_texts(placed: Placed, keeper: list[str]) -> list[str]:
    """For each head in layer order."""
    columns = [
        (values.flatten().tolist(), ranks(values).flatten().tolist()) for values in (placed.contrastive, placed.flap)
    ]
    (contrastive, contrastive_rank), (flap, flap_rank) = columns
    total = len(keeper)
    return [
        f"<b>head {_head(i, placed.flap)}</b><br>C-FLAP {contrastive[i]:+.3f}, rank {contrastive_rank[i]:g} of {total}"
        f"<br>FLAP {flap[i]:+.3f}, rank {flap_rank[i]:g} of {total}<br>{LEGEND[keeper[i]]}"
        for i in range(total)
    ]


def _add_labels(figure: go.Figure, placed: Placed, dark: bool) -> None:
    """Names beside the marks worth one, away from the diagonal."""
    heads = spread_out(notable(placed.flap, placed.contrastive), placed)
    x, y = placed.at(heads)
    upper = [(b < a) if placed.of == "rank" else (b > a) for a, b in zip(x, y, strict=True)]  # ranks run backwards
    figure.add_scatter(
        x=x, y=y, mode="text", text=[str(head) for head in heads], hoverinfo="skip", showlegend=False, name="labels",
        textposition=["top left" if side else "bottom right" for side in upper], cliponaxis=False,
        textfont={"size": 12, "color": theme.ink(dark)},
    )  # fmt: skip


def _lay_out(figure: go.Figure, placed: Placed) -> None:
    low, high = placed.reach
    room = 0.05 * (high - low) or 1.0
    span = [low - room, high + room]
    ranked = placed.of == "rank"
    what = "rank (1 is the highest score)" if ranked else "score (z)"
    axis = {"range": span[::-1] if ranked else span, "fixedrange": True}
    figure.update_layout(
        xaxis={**axis, "title": {"text": f"FLAP {what}", "standoff": 8}},
        yaxis={**axis, "title": {"text": f"C-FLAP {what}"}},
        margin={"t": 60}, hoverdistance=12, legend={"traceorder": "reversed"},
    )  # fmt: skip


def _add_layer_bar(figure: go.Figure, n_layers: int, dark: bool) -> None:
    """Colours under the plot; the legend explains the shapes alone, in one colour."""
    bar = theme.colour_bar("layer", dark, x=0, xanchor="left", yref="container", y=0, yanchor="bottom")
    figure.update_layout(
        coloraxis={"colorscale": theme.layers(), "cmin": 0, "cmax": max(1, n_layers - 1), "colorbar": bar},
        margin={"b": 120}, height=620,
    )  # fmt: skip
    for name, shown in LEGEND.items():
        figure.for_each_trace(lambda trace: trace.update(showlegend=False), selector={"name": shown})
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=shown, hoverinfo="skip",
            marker={"symbol": SYMBOLS[name], "size": 9, "color": theme.muted(dark)},
        )  # fmt: skip
    figure.update_layout(legend={"traceorder": "normal"})
