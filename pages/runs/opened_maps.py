"""Layer by head: the scores of an opened run with the heads it searched among, and their effects on the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from torch import Tensor

from engine.discovery import Discovery
from engine.figures.export import figure_html, rows_csv
from engine.figures.heatmap import heatmap_figure
from engine.figures.step import step_map
from engine.figures.tables import effect_rows, score_rows
from engine.heads import Head
from engine.scores.head_scores import HeadScores
from pages.shared import look, score_views, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.view import View

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEAD = (
    "On the left what pruning went by; ringed heads are those the search could use. On the right what the first step "
    "of the search measured: each head’s effect on the answer, past all other heads."
)


def show(found: Discovery, view: View) -> None:
    look.step(None, "Scores and effects", LEAD)
    name = _score(found, view)
    scores, effects = st.columns(2, gap="medium")
    with scores:
        _scores(found, name, view)
    with effects:
        _effects(found, view)


def _score(found: Discovery, view: View) -> str:
    """The score to show: the view's, if this run measured it."""
    names = [*(score.value for score in found.scores.available()), score_views.DIFFERENCE]
    name = view.score if view.score in names else names[0]
    state.show("score", name)
    st.selectbox("Score", names, format_func=score_views.TITLES.__getitem__, width=260, **state.bound("score"))
    return name


def _scores(found: Discovery, name: str, view: View) -> None:
    keep = found.keep[:, : found.circuit.n_heads]
    figure = drawn(_map, found.scores, name, keep, is_dark())
    chart(
        figure, "opened_scores", f"Map of {score_views.TITLES[name]} by layer and head; candidates are ringed",
        identity=("opened", view.run), on_click=picked, selected=_mark(found, view),
    )  # fmt: skip
    look.note(
        f"n = {found.baseline.n} pairs; {int(keep.sum())} of {keep.numel()} heads were candidates of the search."
    )
    dark = is_dark()
    with st.container(horizontal=True):
        tables = {score.value: found.scores.of(score) for score in found.scores.available()}
        look.download("Scores as CSV", lambda: rows_csv(score_rows(tables)), "scores.csv", "text/csv")
        look.download("Map as HTML", lambda: figure_html(figure, "Head scores", dark), "scores.html", "text/html")


def _map(scores: HeadScores, name: str, keep: Tensor, dark: bool) -> Figure:
    shown = score_views.shown_scores(scores, name)
    return heatmap_figure(shown, name=score_views.BAR_NAMES[name], dark=dark, kept=keep)


def _effects(found: Discovery, view: View) -> None:
    if not found.steps:
        look.empty("No effects yet", "The search was stopped before its first step was over.")
        return
    step = found.steps[0]
    figure = drawn(step_map, step, dark=is_dark())
    chart(
        figure, "opened_effects", "Map of each head’s effect on the logits; a cross was not measured",
        identity=("opened", view.run), on_click=picked, selected=_mark(found, view),
    )  # fmt: skip
    guessed = int(step.estimated.sum())
    measured = int((~step.effects.isnan()).sum())
    look.note(
        f"Signed, mean over n = {found.baseline.n} pairs, in units of clean − corrupted. {measured} measured"
        + (f", {guessed} of them first-order estimates." if guessed else ", all exactly.")
    )
    dark = is_dark()
    rows = effect_rows(step.effects, step.estimated, step.thresholds, step.important, step.mlps)
    with st.container(horizontal=True):
        look.download("Effects as CSV", lambda: rows_csv(rows), "effects-on-logits.csv", "text/csv")
        look.download("Effects as HTML", lambda: figure_html(figure, "Effects", dark), "effects.html", "text/html")


def picked(data: list) -> None:
    """A head ``[layer, index]``; the MLPs' column is none."""
    state.change(head=str(Head(int(data[0]), int(data[1]))))


def _mark(found: Discovery, view: View) -> dict[str, float] | None:
    head = state.selected_head(found.circuit.n_layers, found.circuit.n_heads)
    return {"x": head.index, "y": head.layer} if head is not None else None
