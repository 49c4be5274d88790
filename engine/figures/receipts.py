"""Receipts side by side: each effect with its interval above that of its control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.tables import Row, rounded

if TYPE_CHECKING:
    from engine.evaluation.bootstrap import Interval
    from engine.trust.receipt import Receipt, Receipts

ROW, AROUND = 46, 120  # pixels: of one receipt, and of axes and legend
APART = 0.17  # of a row, effect and control


def receipts_figure(receipts: Sequence[Receipt], dark: bool) -> go.Figure:
    """A row a receipt, the first on top: its effect (signed, clean − corrupted = 1) and its control's."""
    figure = theme.blank(dark, AROUND + ROW * max(2, len(receipts)))
    if not receipts:
        theme.hint(figure, "No receipt yet.", dark)
        return figure
    _add_marks(figure, "effect", receipts, [each.effect for each in receipts], -APART, dark)
    _add_marks(figure, "control", receipts, [each.control_effect for each in receipts], APART, dark)
    values = [0.0] + [
        value
        for each in receipts
        for found in (each.effect, each.control_effect)
        if found is not None
        for value in (found.value, found.low, found.high)
        if math.isfinite(value)
    ]
    room = 0.08 * (max(values) - min(values)) or 1.0
    figure.update_layout(
        xaxis={"title": {"text": "effect (clean − corrupted = 1)"}, "zeroline": True, "fixedrange": True,
               "zerolinecolor": theme.muted(dark), "range": [min(values) - room, max(values) + room]},
        yaxis={"tickvals": list(range(len(receipts))), "ticktext": [each.name for each in receipts],
               "range": [len(receipts) - 0.4, -0.6], "automargin": True, "fixedrange": True, "showgrid": False},
        margin={"t": 48}, hoverdistance=14,
    )  # fmt: skip
    return figure


def receipt_rows(done: Sequence[Receipts]) -> list[Row]:
    """One row a receipt; None is what it has not."""
    return [
        {
            "of": each.name, "verdict": each.verdict.value, "claimed to matter": each.claim.matters,
            "claimed effect": rounded(each.claim.effect), "effect": rounded(each.effect.value),
            "effect low": rounded(each.effect.low), "effect high": rounded(each.effect.high),
            "control": None if each.control is None else str(each.control), **_control(each.control_effect),
            "pairs": some.n, "seed": some.seed, "fresh prompts": some.fresh, "ablation": some.ablation.value,
        }
        for some in done
        for each in some.receipts
    ]  # fmt: skip


def _control(found: Interval | None) -> Row:
    values = (math.nan,) * 3 if found is None else (found.value, found.low, found.high)
    names = ("control effect", "control low", "control high")
    return {name: rounded(value) for name, value in zip(names, values, strict=True)}


def _add_marks(
    figure: go.Figure, name: str, receipts: Sequence[Receipt], found: Sequence[Interval | None], off: float, dark: bool
) -> None:
    colour = theme.CHOSEN if name == "effect" else theme.muted(dark)
    both = enumerate(zip(receipts, found, strict=True))
    at = [(row, each, value) for row, (each, value) in both if value is not None]
    figure.add_scatter(
        x=[value.value for _, _, value in at], y=[row + off for row, _, _ in at], mode="markers", name=name,
        cliponaxis=False,
        marker={"symbol": "diamond" if name == "effect" else "circle-open", "size": 11, "color": colour,
                "line": {"width": 1.8, "color": colour}},
        error_x={"type": "data", "symmetric": False, "color": colour, "thickness": 2, "width": 5,
                 "array": [_from(value.value, value.high) for _, _, value in at],
                 "arrayminus": [_from(value.low, value.value) for _, _, value in at]},
        hovertext=[_said(each, name, value) for _, each, value in at], hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _said(each: Receipt, name: str, value: Interval) -> str:
    what = each.name if name == "effect" else f"control {each.control} for {each.name}"
    return f"<b>{what}</b><br>{name} {value.words('{:+.3f}')}<br>{each.verdict.value}"


def _from(low: float, high: float) -> float:
    """A whisker's length; none where a bound is missing."""
    return high - low if math.isfinite(high - low) else 0.0
