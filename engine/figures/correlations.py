"""Rank correlations of all scores with each other, as one square."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.results import SCORE_NAMES
from engine.figures.tables import Row, rounded

ROW, AROUND = 34, 150  # pixels: of one score, and of names and colour bar

Correlations = Mapping[tuple[str, str], float]


def correlations_figure(scores: Sequence[str], found: Correlations, dark: bool) -> go.Figure:
    """Spearman's correlation of each two of ``scores``: blue opposite, orange the same order; empty if undefined."""
    names = [SCORE_NAMES[score] for score in scores]
    values = [[correlation(found, one, other) for other in scores] for one in scores]
    figure = theme.blank(dark, AROUND + ROW * len(scores))
    figure.add_heatmap(
        z=[[rounded(value) for value in row] for row in values], x=names, y=names, zmin=-1, zmax=1, xgap=2, ygap=2,
        colorscale=theme.diverging(), text=[[_told(value) for value in row] for row in values],
        texttemplate="%{text}", textfont={"color": theme.ink(dark)},  # no size: as large as a cell allows
        hovertemplate="%{y}<br>%{x}<br>rank correlation %{text}<extra></extra>",
        colorbar=theme.colour_bar("rank correlation", dark, x=0, xanchor="left", y=1, yanchor="bottom"),
    )  # fmt: skip
    figure.update_layout(
        xaxis={"type": "category", "showgrid": False, "fixedrange": True, "tickangle": -40, "automargin": True},
        yaxis={"type": "category", "showgrid": False, "fixedrange": True, "autorange": "reversed", "automargin": True},
        margin={"t": 66, "l": 20},
    )  # fmt: skip
    return figure


def correlation_rows(found: Correlations) -> list[Row]:
    """One row a pair of scores."""
    return [
        {"score": SCORE_NAMES[one], "other score": SCORE_NAMES[other], "rank correlation": rounded(value)}
        for (one, other), value in found.items()
    ]


def correlation(found: Correlations, one: str, other: str) -> float:
    """Whichever way round it is known; 1 with itself."""
    return 1.0 if one == other else found[one, other] if (one, other) in found else found[other, one]


def _told(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if value == value else "–"
