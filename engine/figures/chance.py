"""A circuit's faithfulness beside that of random circuits as large: is it better than chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from engine.evaluation.bootstrap import Interval
from engine.evaluation.random_circuits import RandomCircuits
from engine.figures import theme
from engine.figures.tables import Row, rounded

HEIGHT_OF_ONE, AROUND = 72, 120  # pixels
NUDGE = 0.22  # how far dots stray from their row, so that they do not hide each other
PLACES = 7  # different distances from the row


def chance_figure(random: Sequence[RandomCircuits], circuit: Interval, dark: bool) -> go.Figure:
    """A row for each sort of random circuit: a dot a set, a band from the lowest to the highest, a tick at the median.

    The line through all rows is the circuit's own faithfulness, its shade the interval.
    """
    known = [each for each in random if all(map(math.isfinite, each.faithfulness))]
    figure = theme.blank(dark, AROUND + HEIGHT_OF_ONE * max(1, len(known)))
    if not known or not circuit.defined:
        theme.hint(figure, "There are no shares to compare.", dark)
        return figure
    _add_circuit(figure, circuit)
    for row, each in enumerate(known):
        _add_row(figure, row, each, dark)
    values = [0.0, 1.0, circuit.value, *(value for each in known for value in each.faithfulness)]
    values += [bound for bound in (circuit.low, circuit.high) if math.isfinite(bound)]
    room = 0.05 * (max(values) - min(values))
    figure.add_scatter(
        x=[None], y=[None], mode="lines", name="the circuit", line={"color": theme.ACCENT, "width": 3},
    )  # fmt: skip
    figure.update_layout(
        xaxis={"title": {"text": "faithfulness (0 corrupted, 1 the whole model)"}, "fixedrange": True,
               "range": [min(values) - room, max(values) + room]},
        yaxis={"tickvals": list(range(len(known))), "ticktext": [each.draw.value for each in known], "fixedrange": True,
               "range": [len(known) - 0.4, -0.6], "showgrid": False, "automargin": True},
        margin={"t": 48},
    )  # fmt: skip
    return figure


def chance_rows(random: Sequence[RandomCircuits]) -> list[Row]:
    """One row a random circuit, in the order drawn."""
    return [
        {
            "like the circuit in": each.draw.value, "number": number, "metric": rounded(metric),
            "faithfulness": rounded(share),
            "circuit's faithfulness": rounded(each.circuit),
            "seed": each.seed,
        }
        for each in random
        for number, (metric, share) in enumerate(zip(each.metric, each.faithfulness, strict=True), start=1)
    ]  # fmt: skip


def _add_circuit(figure: go.Figure, circuit: Interval) -> None:
    if circuit.known:
        figure.add_shape(
            type="rect", x0=circuit.low, x1=circuit.high, yref="paper", y0=0, y1=1, layer="below", line={"width": 0},
            fillcolor=theme.fade(theme.ACCENT, 0.14),
        )  # fmt: skip
    figure.add_shape(
        type="line", x0=circuit.value, x1=circuit.value, yref="paper", y0=0, y1=1,
        line={"color": theme.ACCENT, "width": 3},
    )  # fmt: skip


def _add_row(figure: go.Figure, row: int, each: RandomCircuits, dark: bool) -> None:
    low, median, high = each.band
    grey = theme.muted(dark)
    figure.add_shape(
        type="rect", x0=low, x1=high, y0=row - 0.3, y1=row + 0.3, layer="below", line={"width": 0},
        fillcolor="rgba(128,132,150,0.20)",
    )  # fmt: skip
    figure.add_shape(type="line", x0=median, x1=median, y0=row - 0.3, y1=row + 0.3, line={"color": grey, "width": 2})
    count = len(each.faithfulness)
    nudges = [NUDGE * (2 * (place * 3 % PLACES) / (PLACES - 1) - 1) for place in range(count)]
    figure.add_scatter(
        x=each.faithfulness, y=[row + nudge for nudge in nudges], mode="markers", cliponaxis=False,
        name="a random circuit", showlegend=row == 0, legendgroup="random",
        marker={"size": 8, "color": grey, "line": {"width": 0.5, "color": theme.page(dark)}},
        hovertemplate=f"random circuit of the {each.draw.value}: faithfulness %{{x:.3f}}<extra></extra>",
    )  # fmt: skip
