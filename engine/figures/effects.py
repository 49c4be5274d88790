"""One step of the search: every sender's effect on one receiver, against the thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.results import KINDS
from engine.heads import Head
from engine.nodes import Node, node_at

if TYPE_CHECKING:
    from torch import Tensor

HOLLOW = "rgba(0,0,0,0)"


def effects_figure(
    effects: Tensor,
    estimated: Tensor,
    thresholds: Tensor,
    important: Sequence[Node],
    *,
    dark: bool,
    most: int = 30,
    selected: Head | None = None,
    mlps: bool = False,
) -> go.Figure:
    """The ``most`` strongest effects as bars, strongest first, between lines at plus and minus the threshold.

    effects     f [layer head], NaN = not measured
    estimated   [layer head], True where the effect is a first-order estimate
    thresholds  smallest |f| of an important sender, [layer]; infinite where none can be
    Important senders are coloured by sign, the others are grey; estimates are hatched and hollow, which a legend
    says where there are any. Bars carry ``customdata = [layer, head]``. ``mlps``: matrices have a last column for MLPs,
    whose bars carry nothing.
    """
    heads = strongest(effects, most, mlps)
    figure = theme.blank(dark, 340)
    if not heads:
        theme.hint(figure, "No sender was measured for this receiver.", dark)
        return figure
    values = [float(effects[head.layer, head.index]) for head in heads]
    guessed = [bool(estimated[head.layer, head.index]) for head in heads]
    limits = [float(thresholds[head.layer]) for head in heads]
    chosen = set(important)
    colours = [_bar_colour(head in chosen, value, dark) for head, value in zip(heads, values, strict=True)]
    names = [str(head) for head in heads]
    figure.add_bar(
        x=names, y=values, name="effects", showlegend=False,
        customdata=[[node.layer, node.index] if isinstance(node, Head) else None for node in heads],
        marker=_look(guessed, colours, [head == selected for head in heads], dark),
        text=[_bar_text(head in chosen, limit) for head, limit in zip(heads, limits, strict=True)],
        hovertext=[KINDS[guess] for guess in guessed], textposition="none",
        hovertemplate="<b>%{x}</b><br>effect %{y:+.4f} (%{hovertext})<br>%{text}<extra></extra>",
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip
    _add_thresholds(figure, names, limits, dark)
    if any(guessed):
        _add_legend(figure, dark)
    reach = 1.15 * max(map(abs, values), default=1.0) or 1.0
    figure.update_layout(
        xaxis={"type": "category", "showgrid": False, "title": {"text": "sender"}, "tickangle": -60},
        yaxis={"title": {"text": "effect f"}, "range": [-reach, reach], "zeroline": True,
               "zerolinecolor": theme.muted(dark)},
        bargap=0.25, barmode="overlay", showlegend=any(guessed),
        margin={"t": 72 if any(guessed) else 40},  # the mode bar is above
    )  # fmt: skip
    return figure


def strongest(effects: Tensor, most: int, mlps: bool = False) -> list[Node]:
    """The measured nodes with the largest |effect|, strongest first."""
    values = effects.flatten().abs().tolist()
    measured = [i for i, value in enumerate(values) if value == value]
    measured.sort(key=lambda i: -values[i])
    return [node_at(i, effects.shape[1], mlps) for i in measured[:most]]


def _look(guessed: Sequence[bool], colours: Sequence[str], selected: Sequence[bool], dark: bool) -> dict[str, Any]:
    """Bars' fill and frame: an estimate is hollow and hatched in what would be its colour."""
    frames = [theme.ACCENT if chosen else theme.muted(dark) for chosen in selected]
    widths = [2.5 if chosen else 1.0 if guess else 0.0 for chosen, guess in zip(selected, guessed, strict=True)]
    return {
        "color": [HOLLOW if guess else colour for guess, colour in zip(guessed, colours, strict=True)],
        "pattern": {"shape": ["/" if guess else "" for guess in guessed], "fgcolor": theme.muted(dark), "size": 6,
                    "solidity": 0.25},
        "line": {"width": widths, "color": frames},
    }  # fmt: skip


def _add_legend(figure: go.Figure, dark: bool) -> None:
    """What is hatched and what is not."""
    for guess, name in ((False, "exact"), (True, "estimate, first order")):
        figure.add_bar(
            x=[None], y=[None], name=name, hoverinfo="skip", legendgroup=name,
            marker=_look([guess], [_bar_colour(False, 0.0, dark)], [False], dark),
        )  # fmt: skip


def _bar_colour(important: bool, value: float, dark: bool) -> str:
    if not important:
        return theme.fade(theme.muted(dark), 0.45)
    return theme.solid_colour(-0.9 if value < 0 else 0.9, dark)


def _bar_text(important: bool, limit: float) -> str:
    if limit == float("inf"):
        return "no sender counts here: all effects are below the least effect"
    return f"threshold {limit:.4f}: {'important' if important else 'not important'}"


def _add_thresholds(figure: go.Figure, names: list[str], limits: list[float], dark: bool) -> None:
    """A stepped line over the bars at plus and one at minus their thresholds, broken where these are infinite."""
    finite = [None if limit == float("inf") else limit for limit in limits]
    for side in (1, -1):
        figure.add_scatter(
            x=names, y=[None if limit is None else side * limit for limit in finite], mode="lines", hoverinfo="skip",
            name="threshold", showlegend=False, line={"color": theme.ink(dark), "width": 1.5, "shape": "hvh"},
        )  # fmt: skip
