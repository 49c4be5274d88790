"""How heads' ranks move from one run to another."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Protocol

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.union_graph import BOTH, LEFT, RIGHT, side_colour
from engine.heads import Head

TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class RankMoveLike(Protocol):
    @property
    def head(self) -> Head: ...
    @property
    def left(self) -> int: ...
    @property
    def right(self) -> int: ...


def rank_figure(moves: Sequence[RankMoveLike], *, dark: bool, selected: Head | None = None) -> go.Figure:
    """One line a head from its rank on the left to that on the right; rank 1 is on top.

    Lines that climb have the right side's colour, those that fall the left side's. Ends carry ``customdata``.
    """
    figure = theme.blank(dark, 140 + max(300, min(900, 20 * len(moves))))
    if not moves:
        theme.hint(figure, "No head has a score in both runs.", dark)
        return figure
    for move in moves:
        _add_move(figure, move, dark, selected)
    worst = max(max(move.left, move.right) for move in moves)
    figure.update_layout(
        xaxis={"range": [-0.3, 1.3], "tickvals": [0, 1], "ticktext": ["left", "right"], "showgrid": False,
               "fixedrange": True, "side": "top"},
        # Ranks far down would squeeze those on top.
        yaxis={"type": "log", "autorange": False, "range": [log10(worst * 1.15), log10(0.85)], "fixedrange": True,
               "title": {"text": "rank (logarithmic)"}, "tickvals": [tick for tick in TICKS if tick <= worst]},
        margin={"l": 60, "r": 24, "t": 60, "b": 24}, showlegend=False, hoverdistance=12,
    )  # fmt: skip
    return figure


def _add_move(figure: go.Figure, move: RankMoveLike, dark: bool, selected: Head | None) -> None:
    side = RIGHT if move.right < move.left else LEFT if move.right > move.left else BOTH
    colour = theme.ACCENT if move.head == selected else side_colour(side, dark)
    words = "same rank" if side == BOTH else f"{abs(move.left - move.right)} {'up' if side == RIGHT else 'down'}"
    text = f"<b>head {move.head}</b><br>rank {move.left} on the left, {move.right} on the right: {words}"
    figure.add_scatter(
        x=[0, 1], y=[move.left, move.right], mode="lines+markers+text", name=str(move.head), showlegend=False,
        text=[str(move.head)] * 2, textposition=["middle left", "middle right"],
        textfont={"size": 11, "color": theme.ink(dark)}, hovertext=[text] * 2,
        hovertemplate="%{hovertext}<extra></extra>", customdata=[[move.head.layer, move.head.index]] * 2,
        line={"color": colour, "width": 3 if move.head == selected else 1.6,
              "dash": "dot" if side == LEFT else "solid"},
        marker={"size": 7, "color": colour}, unselected={"marker": {"opacity": 1}}, selected={"marker": {"opacity": 1}},
    )  # fmt: skip
