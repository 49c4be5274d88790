"""How well head scores find the heads of a reference: recall by sparsity of the mask, and ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from engine.figures import theme
from engine.figures.results import SCORE_NAMES
from engine.figures.sparsity import DASHES, sparsity_axis
from engine.figures.tables import Row, rounded

if TYPE_CHECKING:
    from engine.trust.agreement import ScoreAgreement

PLOT, LEGEND_ROW = 290, 20  # pixels
SHARE_OF_HEADS = 0.3  # of all heads, where recalls are told side by side


def recall_figure(scores: Sequence[ScoreAgreement], enough: float, dark: bool) -> go.Figure:
    """Recall of the reference's heads (0 to 1) in the keep mask, by sparsity, a line a score; dotted what chance keeps.

    The rule is at ``enough``.
    """
    figure = theme.blank(dark, PLOT)
    if scores:
        sparsities = list(scores[0].recall.sparsities)
        _add_chance(figure, sparsities, [1 - sparsity for sparsity in sparsities], dark)
    for each in scores:
        curve = each.recall
        hover = [
            f"{size} heads kept, recall {_told(recall)}, precision {_told(precision)}"
            for size, recall, precision in zip(curve.sizes, curve.recall, curve.precision, strict=True)
        ]
        _add_line(figure, each.score, list(curve.sparsities), list(curve.recall), hover)
    figure.add_hline(y=enough, line={"color": theme.muted(dark), "width": 1, "dash": "dash"}, layer="below")
    figure.update_layout(
        xaxis=sparsity_axis() | {"title": {"text": "sparsity of the keep mask (share of heads left out)"}},
        yaxis=_share_axis("recall of the reference’s heads"), **_legend(len(scores)),
    )  # fmt: skip
    return figure


def roc_figure(scores: Sequence[ScoreAgreement], dark: bool) -> go.Figure:
    """Share of the reference's heads (upward) against share of all other heads, from the highest score down."""
    figure = theme.blank(dark, PLOT)
    _add_chance(figure, [0.0, 1.0], [0.0, 1.0], dark)
    for each in scores:
        x, y = list(each.roc.false_positive_rate), list(each.roc.true_positive_rate)
        hover = [f"{_told(b)} of the reference for {_told(a)} of the others" for a, b in zip(x, y, strict=True)]
        _add_line(figure, each.score, x, y, hover)
    figure.update_layout(
        xaxis=_share_axis("share of the other heads"), yaxis=_share_axis("share of the reference’s heads"),
        **_legend(len(scores)),
    )  # fmt: skip
    return figure


def score_rows(scores: Sequence[ScoreAgreement], share: float = SHARE_OF_HEADS) -> list[Row]:
    """One row a score, the largest area first; None is not defined."""
    ranked = sorted(scores, key=lambda each: each.roc.auc if each.roc.auc == each.roc.auc else -1, reverse=True)
    return [
        {
            "score": SCORE_NAMES[each.score], "area under ROC": rounded(each.roc.auc),
            f"recall in {100 * share:.0f} % of heads": rounded(recall_at(each, share)),
            "heads needed for 90 %": each.needed, "rank correlation with |effect|": rounded(each.correlation),
            "heads of the reference": each.known,
        }
        for each in ranked
    ]  # fmt: skip


def recall_at(each: ScoreAgreement, share: float) -> float:
    """Recall of the mask that keeps this share of all heads: the nearest of the sweep."""
    curve = each.recall
    at = min(range(len(curve.sparsities)), key=lambda i: abs(curve.sparsities[i] - (1 - share)))
    return curve.recall[at]


def recall_rows(scores: Sequence[ScoreAgreement]) -> list[Row]:
    """One row a score and sparsity."""
    return [
        {
            "score": SCORE_NAMES[each.score], "sparsity": sparsity, "heads kept": size, "recall": rounded(recall),
            "precision": rounded(precision),
        }
        for each in scores
        for sparsity, size, recall, precision in zip(
            each.recall.sparsities, each.recall.sizes, each.recall.recall, each.recall.precision, strict=True
        )
    ]  # fmt: skip


def roc_rows(scores: Sequence[ScoreAgreement]) -> list[Row]:
    """One row a score and point of its curve."""
    return [
        {"score": SCORE_NAMES[each.score], "share of the others": rounded(x), "share of the reference": rounded(y)}
        for each in scores
        for x, y in zip(each.roc.false_positive_rate, each.roc.true_positive_rate, strict=True)
    ]  # fmt: skip


def _add_line(figure: go.Figure, score: str, x: list[float], y: list[float], hover: list[str]) -> None:
    figure.add_scatter(
        x=x, y=y, mode="lines", name=SCORE_NAMES[score], text=hover, cliponaxis=False,
        line={"color": theme.SCORE_COLOURS[score], "width": 2.4, "dash": DASHES[score]},
        hovertemplate=f"<b>{SCORE_NAMES[score]}</b><br>%{{text}}<extra></extra>",
    )  # fmt: skip


def _add_chance(figure: go.Figure, x: list[float], y: list[float], dark: bool) -> None:
    figure.add_scatter(
        x=x, y=y, mode="lines", name="chance", hoverinfo="skip",
        line={"color": theme.muted(dark), "width": 1.2, "dash": "dot"},
    )  # fmt: skip


def _share_axis(title: str) -> dict[str, Any]:
    return {"range": [-0.02, 1.03], "dtick": 0.2, "tickformat": ".0%", "fixedrange": True, "title": {"text": title}}


def _legend(scores: int) -> dict[str, Any]:
    """Under the plot, in two columns on a phone too: from above, many scores would push the plot down."""
    below = 76 + LEGEND_ROW * (scores // 2 + 1)
    return {
        "legend": {"yref": "container", "y": 0, "yanchor": "bottom", "font": {"size": 11}, "entrywidth": 0.5,
                   "entrywidthmode": "fraction"},
        "margin": {"t": 16, "b": below}, "height": PLOT + 16 + below,
    }  # fmt: skip


def _told(share: float) -> str:
    return f"{100 * share:.0f} %" if share == share else "undefined"
