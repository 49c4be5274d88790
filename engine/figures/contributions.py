"""What each head, or each edge, of a circuit adds to it: bars with intervals, and which of them are needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from engine.circuit import LOGITS_NODE, Edge
from engine.evaluation.minimality import Contribution, Minimality, Standing
from engine.figures import theme
from engine.figures.edges import edge_data
from engine.figures.tables import Row, rounded
from engine.heads import Head

MOST = 30
ROW, AROUND = 24, 110  # pixels: of one bar, and of axes and legend
HOLLOW = "rgba(0,0,0,0)"
# All bars lie along the same axis, so the unit is either the share or, where there is none, the metric itself.
SHARE, METRIC = "own contribution to faithfulness", "own contribution to the metric"


def contributions_figure(found: Minimality[Any], dark: bool, most: int = MOST) -> go.Figure:
    """A bar for each of the ``most`` largest contributions to either side, the largest on top, with its interval.

    Filled where the interval lies beyond the noise, orange for and blue against the answer; hollow where it does not.
    Bars carry ``customdata``: ``[layer, head]`` of a head, ``[sender, receiver, input]`` of an edge.
    """
    shown = shown_of(found, most)
    figure = theme.blank(dark, AROUND + ROW * max(2, len(shown)))
    if not shown:
        theme.hint(figure, "There is nothing in the circuit to take out.", dark)
        return figure
    for standing in Standing:
        if some := [each for each in shown if each.standing is standing]:
            _add_bars(figure, some, standing, in_shares(found), dark)
    reach = [bound for each in shown for bound in _bounds(each, in_shares(found))]
    room = 0.06 * (max(*reach, 0.0) - min(*reach, 0.0)) or 1.0
    figure.update_layout(
        xaxis={"title": {"text": SHARE if in_shares(found) else METRIC}, "zeroline": True, "fixedrange": True,
               "zerolinecolor": theme.muted(dark), "range": [min(*reach, 0.0) - room, max(*reach, 0.0) + room]},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "automargin": True, "fixedrange": True,
               "categoryorder": "array", "categoryarray": [member_name(each.member) for each in shown]},
        bargap=0.3, barmode="overlay", showlegend=True, margin={"t": 52, "l": 48},
    )  # fmt: skip
    return figure


def in_shares(found: Minimality[Any]) -> bool:
    """Whether there are shares of faithfulness to draw."""
    return all(each.share.defined for each in found.contributions)


def shown_of(found: Minimality[Any], most: int = MOST) -> list[Contribution[Any]]:
    """The ``most`` contributions farthest from 0, in the order of all."""
    shares = in_shares(found)
    by_size = sorted(found.contributions, key=lambda each: -abs(_interval(each, shares).value))
    kept = {id(each) for each in by_size[:most]}
    return [each for each in found.contributions if id(each) in kept]


def contribution_rows(found: Minimality[Any]) -> list[Row]:
    """One row a member, the largest contribution first; None where something is undefined."""
    return [
        {
            "member": member_name(each.member), "share of faithfulness": rounded(each.share.value),
            "share low": rounded(each.share.low), "share high": rounded(each.share.high),
            "change of the metric": rounded(each.change.value), "change low": rounded(each.change.low),
            "change high": rounded(each.change.high), "pairs": each.share.n, "standing": each.standing.value,
        }
        for each in found.contributions
    ]  # fmt: skip


def member_name(member: Head | Edge) -> str:
    """``9.6``, ``5.5 → 9.6.q`` or ``9.6 → logits``."""
    if isinstance(member, Head):
        return str(member)
    receiver = LOGITS_NODE if member.receiver is None else f"{member.receiver}.{member.input.value}"
    return f"{member.sender} → {receiver}"


def _add_bars(
    figure: go.Figure, some: Sequence[Contribution[Any]], standing: Standing, shares: bool, dark: bool
) -> None:
    intervals = [_interval(each, shares) for each in some]
    figure.add_bar(
        orientation="h", y=[member_name(each.member) for each in some], x=[each.value for each in intervals],
        name=standing.value, customdata=[_data(each.member) for each in some], marker=_look(standing, dark),
        error_x={"type": "data", "symmetric": False, "color": theme.muted(dark), "thickness": 1.5, "width": 4,
                 "array": [_from(each.value, each.high) for each in intervals],
                 "arrayminus": [_from(each.low, each.value) for each in intervals]},
        hovertext=[each.words("{:+.3f}") for each in intervals],
        hovertemplate=f"<b>%{{y}}</b><br>%{{hovertext}}<br>{standing.value}<extra></extra>",
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _look(standing: Standing, dark: bool) -> dict[str, Any]:
    grey = theme.muted(dark)
    if standing is Standing.NOISE:
        return {"color": HOLLOW, "line": {"color": grey, "width": 1.5}}
    if standing is Standing.UNKNOWN:
        return {"color": theme.grid(dark), "line": {"color": grey, "width": 1},
                "pattern": {"shape": "/", "fgcolor": grey, "size": 6}}  # fmt: skip
    return {"color": theme.solid_colour(0.9 if standing is Standing.CONTRIBUTES else -0.9, dark), "line": {"width": 0}}


def _interval(each: Contribution[Any], shares: bool) -> Any:
    return each.share if shares else each.change


def _bounds(each: Contribution[Any], shares: bool) -> list[float]:
    found = _interval(each, shares)
    return [value for value in (found.low, found.value, found.high) if math.isfinite(value)]


def _from(low: float, high: float) -> float:
    """A whisker's length; none where a bound is missing."""
    return high - low if math.isfinite(high - low) else 0.0


def _data(member: Head | Edge) -> list[Any]:
    return [member.layer, member.index] if isinstance(member, Head) else edge_data(member)
