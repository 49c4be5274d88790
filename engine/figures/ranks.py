"""How heads' ranks move from one run to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.union_graph import BOTH, LEFT, RIGHT, side_colour
from engine.heads import Head

ROW = 22  # pixels a head


class RankMoveLike(Protocol):
    @property
    def head(self) -> Head: ...
    @property
    def left(self) -> int: ...
    @property
    def right(self) -> int: ...


def rank_figure(moves: Sequence[RankMoveLike], *, dark: bool, selected: Head | None = None) -> go.Figure:
    """One line a head from its place on the left to that on the right, the highest rank on top.

    Heads stand in the order of their ranks, one below the other, with the rank written beside: heads far down would
    otherwise squeeze those on top. Lines that climb have the right side's colour, those that fall the left side's and
    dots. Ends carry ``customdata = [layer, head]``.
    """
    figure = theme.blank(dark, 96 + max(200, ROW * len(moves)))
    if not moves:
        theme.hint(figure, "No head has a rank in both runs.", dark)
        return figure
    before = {move.head: place for place, move in enumerate(sorted(moves, key=lambda move: (move.left, move.head)))}
    after = {move.head: place for place, move in enumerate(sorted(moves, key=lambda move: (move.right, move.head)))}
    for move in moves:
        _add_move(figure, move, (before[move.head], after[move.head]), dark, move.head == selected)
    ends = {"tickvals": [0, 1], "ticktext": ["left: head · rank", "right: rank · head"]}
    return figure.update_layout(
        xaxis={**ends, "range": [-0.45, 1.45], "showgrid": False, "fixedrange": True, "side": "top"},
        yaxis={"range": [len(moves) - 0.4, -0.6], "visible": False, "fixedrange": True},
        margin={"l": 8, "r": 8, "t": 44, "b": 16}, showlegend=False, hoverdistance=12,
    )  # fmt: skip


def _add_move(figure: go.Figure, move: RankMoveLike, places: tuple[int, int], dark: bool, selected: bool) -> None:
    side = RIGHT if move.right < move.left else LEFT if move.right > move.left else BOTH
    colour = theme.ACCENT if selected else side_colour(side, dark)
    words = "same rank" if side == BOTH else f"{abs(move.left - move.right)} {'up' if side == RIGHT else 'down'}"
    text = f"<b>head {move.head}</b><br>rank {move.left} on the left, {move.right} on the right: {words}"
    figure.add_scatter(
        x=[0, 1], y=list(places), mode="lines+markers+text", name=str(move.head), showlegend=False,
        text=[f"{move.head} · {move.left} ", f" {move.right} · {move.head}"],
        textposition=["middle left", "middle right"], textfont={"size": 12, "color": theme.ink(dark)},
        hovertext=[text] * 2, hovertemplate="%{hovertext}<extra></extra>",
        customdata=[[move.head.layer, move.head.index]] * 2,
        line={"color": colour, "width": 3 if selected else 1.6, "dash": "dot" if side == LEFT else "solid"},
        marker={"size": 7, "color": colour}, selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip
