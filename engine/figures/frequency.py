"""How often heads and edges are found again: a map of heads, bars of edges."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import plotly.graph_objects as go
import torch
from torch import Tensor

from engine.circuit import LOGITS_NODE, Input
from engine.figures import theme
from engine.figures.heatmap import TOP, add_click_targets, add_rings, add_selection, map_height
from engine.figures.tables import Row, rounded
from engine.heads import Head, mask_of
from engine.trust.frequency import Frequency
from engine.trust.overlap import EdgeName

MOST = 20
ROW, AROUND = 22, 110  # pixels: of one bar, and of axes and legend
NAME = "found in"


def frequency_of_heads(found: Frequency, n_layers: int, n_heads: int) -> Tensor:
    """``[layer head]``, 0 for what no run found; NaN if nothing can be judged."""
    values = torch.full((n_layers, n_heads), 0.0 if found.judged else float("nan"))
    for head, share in found.heads.items():
        values[head.layer, head.index] = share
    return values


def frequency_figure(
    found: Frequency, mine: Collection[Head], n_layers: int, n_heads: int, dark: bool
) -> go.Figure:
    """The share of the runs that found each head (0 to 1), layers upward; the circuit's own heads are ringed.

    Points carry ``customdata = [layer, head]``.
    """
    values = frequency_of_heads(found, n_layers, n_heads)
    figure = theme.blank(dark, map_height(n_layers) + TOP + 52)
    figure.add_heatmap(
        z=[[None if value != value else round(value, 4) for value in row] for row in values.tolist()],
        zmin=0, zmax=1, colorscale=theme.sequential(dark), xgap=2, ygap=2, hoverinfo="skip",
        colorbar=theme.colour_bar(f"{NAME} this share of {found.n} runs", dark, x=0, xanchor="left", y=1,
                                  yanchor="bottom", tickformat=".0%"),
    )  # fmt: skip
    figure.update_layout(
        xaxis={"range": [-0.5, n_heads - 0.5], "title": {"text": "head", "standoff": 6}, "showgrid": False,
               "dtick": max(1, n_heads // 16), "tick0": 0, "fixedrange": True},
        yaxis={"range": [-0.5, n_layers - 0.5], "title": {"text": "layer"}, "showgrid": False,
               "dtick": max(1, n_layers // 15), "tick0": 0, "fixedrange": True},
        hoverdistance=-1, showlegend=False, margin={"t": TOP},
    )  # fmt: skip
    add_rings(figure, mask_of(mine, n_layers, n_heads), dark, theme.CHOSEN)  # seen on both ends of the scale
    add_selection(figure, None, n_layers)
    add_click_targets(figure, values, _head_texts(found, mine, n_layers, n_heads))
    return figure


def edge_frequency_figure(
    found: Frequency, mine: Collection[EdgeName], dark: bool, most: int = MOST
) -> go.Figure:
    """A bar for each of the ``most`` edges found most often, coloured by input; hollow where the circuit lacks it.

    Bars carry ``customdata = [sender, receiver, input]``.
    """
    shown = list(found.edge_counts)[:most]
    figure = theme.blank(dark, AROUND + ROW * max(2, len(shown)))
    if not shown:
        theme.hint(figure, "No run found an edge.", dark)
        return figure
    for entry in Input:
        if some := [name for name in shown if name[2] == entry.value]:
            _add_bars(figure, some, entry, found, mine)
    figure.update_layout(
        xaxis={"title": {"text": f"{NAME} this share of {found.n} runs"}, "range": [0, 1.02], "tickformat": ".0%",
               "fixedrange": True},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False, "automargin": True, "fixedrange": True,
               "categoryorder": "array", "categoryarray": [edge_name(name) for name in shown]},
        bargap=0.3, barmode="overlay", margin={"t": 48, "l": 48},
    )  # fmt: skip
    return figure


def head_frequency_rows(found: Frequency, mine: Collection[Head]) -> list[Row]:
    """One row a head that any run or the circuit has, the most often found first."""
    flips = set(found.coin_flips)
    return [
        {
            "head": str(head), "frequency": rounded(found.head(head)),
            "runs that found it": found.head_counts.get(head, 0), "runs": found.n,
            "in this circuit": head in mine, "coin flip": head in flips,
        }
        for head in dict.fromkeys((*found.head_counts, *sorted(mine)))
    ]  # fmt: skip


def edge_frequency_rows(found: Frequency, mine: Collection[EdgeName]) -> list[Row]:
    """One row an edge that any run or the circuit has, the most often found first."""
    return [
        {
            "sender": str(name[0]), "receiver": _receiver(name), "input": name[2],
            "frequency": rounded(found.edge(name)), "runs that found it": found.edge_counts.get(name, 0),
            "runs": found.n, "in this circuit": name in mine,
        }
        for name in dict.fromkeys((*found.edge_counts, *mine))
    ]  # fmt: skip


def edge_name(name: EdgeName) -> str:
    """``5.5 → 9.6.q`` or ``9.6 → logits``."""
    receiver = _receiver(name)
    return f"{name[0]} → {receiver}" if receiver == LOGITS_NODE else f"{name[0]} → {receiver}.{name[2]}"


def _receiver(name: EdgeName) -> str:
    return LOGITS_NODE if name[1] is None else str(name[1])


def _head_texts(found: Frequency, mine: Collection[Head], n_layers: int, n_heads: int) -> list[str]:
    """For each head in layer order."""
    heads = [Head(layer, index) for layer in range(n_layers) for index in range(n_heads)]
    return [
        f"<b>head {head}</b><br>{NAME} {found.head_counts.get(head, 0)} of {found.n} runs"
        f"<br>{'in this circuit' if head in mine else 'not in this circuit'}"
        for head in heads
    ]


def _add_bars(
    figure: go.Figure, names: Sequence[EdgeName], entry: Input, found: Frequency, mine: Collection[EdgeName]
) -> None:
    colour = theme.INPUT_COLOURS[entry]
    figure.add_bar(
        orientation="h", y=[edge_name(name) for name in names],
        x=[found.edge_counts[name] / found.n for name in names], name=f"into {entry.value}",
        customdata=[[str(name[0]), _receiver(name), name[2]] for name in names],
        marker={"color": [colour if name in mine else theme.fade(colour, 0.12) for name in names],
                "line": {"color": colour, "width": 1.5}},
        hovertext=[
            f"{NAME} {found.edge_counts[name]} of {found.n} runs<br>"
            f"{'in this circuit' if name in mine else 'not in this circuit'}"
            for name in names
        ],
        hovertemplate="<b>%{y}</b><br>%{hovertext}<extra></extra>",
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip
