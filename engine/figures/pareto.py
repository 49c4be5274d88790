"""The nine unions by size and performance: what each costs in heads, and what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.figures import front, theme
from engine.pruning.merge import union_words
from engine.pruning.pareto import ENOUGH_PERFORMANCE, pareto_front

if TYPE_CHECKING:
    from engine.figures.results import UnionLike


def pareto_figure(unions: Sequence[UnionLike], *, largest: int, dark: bool) -> go.Figure:
    """Size to the right (heads), performance upward (percent), one mark for all unions at one place.

    Shaded is where the rule takes the smallest: performance of at least 75 % and at most ``largest`` heads. The
    line is the Pareto front. Marks carry ``customdata = ["union", name]``, of the first union there; the trace
    "selected" is for the one in use.
    """
    figure = theme.blank(dark, front.HEIGHT)
    measured = [union for union in unions if union.performance == union.performance]
    if not measured:
        theme.hint(figure, "No union has a measured performance.", dark)
        return figure
    right, high = front.lay_out(
        figure,
        [largest, *(union.size for union in measured)],
        [0.0, ENOUGH_PERFORMANCE, 100.0, *(union.performance for union in measured)],  # the rule's corner in sight
        "heads kept",
        "performance (%)",
    )
    _add_rule(figure, largest, high, right, dark)
    front.add_stair(figure, [_place(union) for union in pareto_front(measured)], right, dark)
    _add_marks(figure, measured, dark)
    front.add_selected(figure)
    return figure


def places(unions: Sequence[UnionLike]) -> list[list[UnionLike]]:
    """The unions that share a size and a performance, smallest first."""
    return front.together(unions, _place)


def _place(union: UnionLike) -> front.Place:
    return union.size, union.performance


def _add_rule(figure: go.Figure, largest: int, high: float, right: float, dark: bool) -> None:
    """The shaded corner, and the two lines that bound it."""
    line = {"color": theme.muted(dark), "width": 1, "dash": "dot"}
    front.add_good_corner(figure, largest, ENOUGH_PERFORMANCE, high)
    figure.add_shape(
        type="line", x0=0, x1=right, y0=ENOUGH_PERFORMANCE, y1=ENOUGH_PERFORMANCE, line=line, layer="below"
    )
    figure.add_shape(type="line", x0=largest, x1=largest, y0=0, y1=1, yref="paper", line=line, layer="below")
    quiet = {"showarrow": False, "font": {"size": 12, "color": theme.muted(dark)}}
    figure.add_annotation(text="75 %", x=right, y=ENOUGH_PERFORMANCE, xanchor="right", yanchor="bottom", **quiet)
    figure.add_annotation(
        text=f"half of all heads: {largest}", x=largest, y=0, yref="paper", xanchor="right", yanchor="bottom", **quiet
    )


def _add_marks(figure: go.Figure, unions: Sequence[UnionLike], dark: bool) -> None:
    """Filled on the front, hollow where another union is as small and better."""
    best = {_place(union) for union in pareto_front(unions)}
    middle = max(union.size for union in unions) / 2  # labels grow towards it
    for on_front, name in ((True, "union on the front"), (False, "union another one beats")):
        shown = [place for place in places(unions) if (_place(place[0]) in best) == on_front]
        figure.add_scatter(
            x=[place[0].size for place in shown], y=[place[0].performance for place in shown],
            mode="markers+text" if on_front else "markers", name=name, cliponaxis=False,
            customdata=[["union", place[0].name] for place in shown],
            text=[short_name(place) for place in shown],
            textposition=["top left" if place[0].size > middle else "top right" for place in shown],
            textfont={"size": 12, "color": theme.ink(dark)},
            hovertext=[_hover(place) for place in shown], hovertemplate="%{hovertext}<extra></extra>",
            marker={"symbol": "circle" if on_front else "circle-open", "size": 11, "color": theme.CHOSEN,
                    "line": {"width": 1.6, "color": theme.page(dark) if on_front else theme.CHOSEN}},
            selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        )  # fmt: skip


def short_name(place: Sequence[UnionLike]) -> str:
    """``first + biggest``, and how many more there are at the same place."""
    more = f" (+{len(place) - 1})" if len(place) > 1 else ""
    return f"{union_words(place[0].name)}{more}"


def _hover(place: Sequence[UnionLike]) -> str:
    names = "<br>".join(f"<b>{union_words(union.name)}</b>" for union in place)
    return f"{names}<br>{place[0].size} heads, performance {place[0].performance:.1f} %"
