"""The runs that found a circuit again: how large and faithful each is, and what it owes to its templates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.tables import Row, rounded
from engine.trust.draws import Kind

if TYPE_CHECKING:
    from engine.trust.refind import Refind

ROW, AROUND = 40, 110  # pixels: of one template, and of axes and legend
LOOKS = {  # colour, symbol: told apart without colour, too
    Kind.RESAMPLE: ("#7c6cf2", "circle"),
    Kind.SEED: ("#12a383", "square"),
    Kind.TEMPLATE: ("#e0730a", "diamond"),
}
NAMES = {Kind.RESAMPLE: "resample", Kind.SEED: "other seed", Kind.TEMPLATE: "template left out"}


def refinds_figure(refinds: Sequence[Refind], size: int | None, dark: bool) -> go.Figure:
    """Heads to the right, faithfulness on the report prompts upward, one mark a run; the line is at ``size``, ours."""
    figure = theme.blank(dark, 380)
    known = [each for each in refinds if each.circuit is not None and math.isfinite(each.faithfulness)]
    if not known:
        theme.hint(figure, "No run has a faithfulness to draw.", dark)
        return figure
    for kind in Kind:
        if some := [each for each in known if each.draw.kind is kind]:
            _add_marks(figure, some, kind, dark)
    if size is not None:
        figure.add_vline(x=size, line={"color": theme.ACCENT, "width": 1.5}, layer="below")
        figure.add_scatter(
            x=[None], y=[None], mode="lines", name="size of this circuit", line={"color": theme.ACCENT, "width": 1.5}
        )
    sizes = [_size(each) for each in known] + ([size] if size is not None else [])
    values = [0.0, 1.0, *(each.faithfulness for each in known)]
    room = 0.08 * (max(values) - min(values))
    figure.update_layout(
        xaxis={"title": {"text": "heads in the circuit found"}, "range": [0, 1.08 * max(sizes) + 1],
               "fixedrange": True, "tickformat": "d"},
        yaxis={"title": {"text": "faithfulness"}, "range": [min(values) - room, max(values) + room],
               "fixedrange": True, "nticks": 7},
        margin={"t": 52}, hoverdistance=14,
    )  # fmt: skip
    return figure


def left_out_figure(refinds: Sequence[Refind], dark: bool) -> go.Figure:
    """A row a template: faithfulness on the templates the circuit was found on, and on the one left out."""
    known = [each for each in refinds if each.draw.left_out is not None and each.circuit is not None]
    figure = theme.blank(dark, AROUND + ROW * max(2, len(known)))
    if not known:
        theme.hint(figure, "No template was left out.", dark)
        return figure
    rows = list(range(len(known)))
    for row, each in zip(rows, known, strict=True):
        figure.add_scatter(
            x=[each.used, each.held_out], y=[row, row], mode="lines", hoverinfo="skip", showlegend=False,
            line={"color": theme.muted(dark), "width": 1.5},
        )  # fmt: skip
    for name, values, symbol, colour in (
        ("templates it was found on", [each.used for each in known], "circle-open", theme.muted(dark)),
        ("template left out", [each.held_out for each in known], *reversed(LOOKS[Kind.TEMPLATE])),
    ):
        figure.add_scatter(
            x=values, y=rows, mode="markers", name=name, cliponaxis=False,
            marker={"symbol": symbol, "size": 12, "color": colour, "line": {"width": 2, "color": colour}},
            text=[each.draw.label for each in known],
            hovertemplate=f"%{{text}}<br>{name}: faithfulness %{{x:.3f}}<extra></extra>",
        )  # fmt: skip
    values = [value for each in known for value in (each.used, each.held_out) if math.isfinite(value)]
    values += [0.0, 1.0]
    room = 0.06 * (max(values) - min(values))
    figure.update_layout(
        xaxis={"title": {"text": "faithfulness (0 corrupted, 1 the whole model)"}, "fixedrange": True,
               "range": [min(values) - room, max(values) + room]},
        yaxis={"tickvals": rows, "ticktext": [each.draw.label for each in known], "fixedrange": True,
               "range": [len(known) - 0.4, -0.6], "automargin": True},
        margin={"t": 48},
    )  # fmt: skip
    return figure


def refind_rows(refinds: Sequence[Refind]) -> list[Row]:
    """One row a run; None is what it has not."""
    return [
        {
            "run": each.draw.label, "kind": each.draw.kind.value, "seed": each.draw.seed,
            "heads": None if each.circuit is None else len(each.circuit.heads),
            "edges": None if each.circuit is None else len(each.circuit.edges),
            "faithfulness": rounded(each.faithfulness), "on templates used": rounded(each.used),
            "on the template left out": rounded(each.held_out), "problem": each.problem,
        }
        for each in refinds
    ]  # fmt: skip


def _add_marks(figure: go.Figure, some: Sequence[Refind], kind: Kind, dark: bool) -> None:
    colour, symbol = LOOKS[kind]
    figure.add_scatter(
        x=[_size(each) for each in some], y=[each.faithfulness for each in some], mode="markers", name=NAMES[kind],
        cliponaxis=False, text=[each.draw.label for each in some],
        marker={"symbol": symbol, "size": 11, "color": theme.fade(colour, 0.75),
                "line": {"width": 1, "color": theme.page(dark)}},
        hovertemplate="<b>%{text}</b><br>%{x} heads, faithfulness %{y:.3f}<extra></extra>",
    )  # fmt: skip


def _size(each: Refind) -> int:
    return 0 if each.circuit is None else len(each.circuit.heads)
