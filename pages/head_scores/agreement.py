"""Both scores of every head against each other, and in one number how far they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from engine.figures.agreement import Placed, agreement_figure
from engine.figures.export import figure_html
from engine.prepare import Prepared
from engine.scores.head_scores import HeadScores
from engine.scores.ranking import spearman
from engine.settings import Score
from pages.head_scores.maps import clicked
from pages.shared import background, look, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.view import COLOURS, MEASURES, View

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEAD = (
    "On the dotted diagonal both scores agree. Far above it are heads that only the contrast between clean and "
    "corrupted prompts brings out; far below it, heads that vary much whatever the task asks."
)
MEASURE_TITLES = {"rank": "Ranks", "score": "Scores"}
COLOUR_TITLES = {"list": "Who keeps it", "layer": "Layer"}


def show(prepared: Prepared, view: View) -> None:
    look.step(None, "Ranks against each other", LEAD)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("versus", view.versus)
        st.segmented_control(
            "Compare", MEASURES, format_func=MEASURE_TITLES.__getitem__, required=True, **state.bound("versus")
        )
        state.show("colour", view.colour)
        st.segmented_control(
            "Colour by", COLOURS, format_func=COLOUR_TITLES.__getitem__, required=True, **state.bound("colour"),
            help=f"Who keeps it is asked at sparsity {view.sparsity:.2f}, the one chosen above.",
        )  # fmt: skip
    look.lead(_in_a_sentence(prepared))
    total, dark = prepared.scores.flap.numel(), is_dark()
    figure = drawn(_figure, prepared.scores, view.versus, view.colour, view.sparsity, dark)
    chart(
        figure, "agreement", f"FLAP {view.versus} against C-FLAP {view.versus} of all {total} heads",
        identity=background.data_of(prepared.settings), on_click=clicked, selected=_mark(prepared, view),
    )  # fmt: skip
    look.download("Scatter as HTML", lambda: figure_html(figure, "FLAP and C-FLAP", dark), "scores.html", "text/html")


def _figure(scores: HeadScores, of: str, colour: str, sparsity: float, dark: bool) -> Figure:
    """The selected head is no part of it: chart.js moves that mark."""
    flap, contrastive = (scores.keep(score, sparsity) for score in (Score.FLAP, Score.CONTRASTIVE_FLAP))
    return agreement_figure(_placed(scores, of), flap, contrastive, dark=dark, colour=colour)


def _placed(scores: HeadScores, of: str) -> Placed:
    return Placed(scores.flap, scores.contrastive_flap, of)


def _in_a_sentence(prepared: Prepared) -> str:
    scores = prepared.scores
    value = spearman(scores.flap, scores.contrastive_flap)
    what = f"{term('Spearman', 'Spearman’s rank correlation')} of the two scores"
    over = f"over all n = {scores.flap.numel()} heads, on {look.count(len(prepared.prompts), 'prompt pair')}"
    if value != value:
        return f"{what} cannot be told {over}: one of them is the same for every head."
    return f"{what} is <b>{look.signed(value, 2)}</b> {over}: {_meaning(value)}."


def _meaning(value: float) -> str:
    if value >= 0.9:
        return "nearly the same order"
    if value >= 0.6:
        return "by and large the same order, with exceptions worth a look"
    if value >= 0.3:
        return "related, but each ranks many heads high that the other does not"
    return "largely different orders" if value > -0.3 else "rather opposite orders"


def _mark(prepared: Prepared, view: View) -> dict[str, float] | None:
    head = state.selected_head(prepared.model.n_layers, prepared.model.n_heads)
    if head is None:
        return None
    (x,), (y,) = _placed(prepared.scores, view.versus).at([head])
    return {"x": x, "y": y}
