"""Layer by head: both scores side by side, or any one of them large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from engine.figures.export import figure_html
from engine.figures.heatmap import heatmap_figure
from engine.heads import Head
from engine.prepare import Prepared
from engine.scores.head_scores import HeadScores
from engine.settings import Score, Settings
from pages.shared import background, further_scores, look, score_recall, score_views, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.view import MAPS, SCORES, View

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEAD = (
    "Orange heads score above their layer’s mean, blue ones below. Ringed heads are kept at the sparsity chosen. "
    "Click a head for its card."
)
PAIR = ("flap", "contrastive_flap")
MAP_TITLES = {"both": "Both side by side", "one": "One, large"}


def show(prepared: Prepared, view: View, settings: Settings) -> None:
    look.step(None, "Layer by head", LEAD)
    _controls(prepared, view)
    if view.maps == "one" and not prepared.scores.has(view.mask_score):
        further_scores.progress(prepared, settings, view.mask_score)
        look.empty("The map appears here", "As soon as the score is measured.")
        return
    if view.maps == "one":
        own = view.own_flap_sparsity
        figures = {view.score: drawn(_map, prepared.scores, view.score, view.sparsity, is_dark(), own)}
        _draw(prepared, view, *next(iter(figures.items())))
    else:
        figures = {name: drawn(_map, prepared.scores, name, view.sparsity, is_dark()) for name in PAIR}
        with st.container(key="score_maps"):
            for column, (name, figure) in zip(st.columns(2, gap="medium"), figures.items(), strict=True):
                with column:
                    _draw(prepared, view, name, figure)
    _downloads(figures)


def _controls(prepared: Prepared, view: View) -> None:
    with st.container(horizontal=True, gap="medium"):
        state.show("maps", view.maps)
        st.segmented_control(
            "Maps", MAPS, format_func=MAP_TITLES.__getitem__, required=True, wrap=True, **state.bound("maps")
        )
        if view.maps == "one":
            state.show("score", view.score)
            st.segmented_control(
                "Score shown", SCORES, format_func=score_views.TITLES.__getitem__, required=True, wrap=True,
                help=score_views.HELP, **state.bound("score"),
            )  # fmt: skip
        state.show("sparsity", view.sparsity)
        st.slider(
            "Sparsity", 0.0, 0.99, step=0.01, format="%.2f", width=260, help="Share of all heads removed.",
            **state.bound("sparsity", read=lambda value: round(value, 2)),
        )  # fmt: skip
    score_recall.show()
    look.note(_kept_words(prepared, view))


def _kept_words(prepared: Prepared, view: View) -> str:
    """How many heads each list keeps, and the two together."""
    flap, contrastive, either = (
        int(prepared.scores.keep(score, view.sparsity).sum())
        for score in (Score.FLAP, Score.CONTRASTIVE_FLAP, Score.MERGED)
    )
    total = prepared.scores.flap.numel()
    return (
        f"At sparsity {view.sparsity:.2f} FLAP keeps {flap} of {total} heads and C-FLAP {contrastive}; "
        f"{flap + contrastive - either} are the same, so together they keep {either}."
    )


def _map(scores: HeadScores, name: str, sparsity: float, dark: bool, flap_sparsity: float | None = None) -> Figure:
    """The selected head is no part of it: chart.js moves that mark."""
    kept = scores.keep(score_views.score_of(name), sparsity, flap_sparsity)
    shown = score_views.shown_scores(scores, name)
    return heatmap_figure(shown, name=score_views.BAR_NAMES[name], dark=dark, kept=kept)


def _draw(prepared: Prepared, view: View, name: str, figure: Figure) -> None:
    title = score_views.TITLES[name]
    head = state.selected_head(prepared.model.n_layers, prepared.model.n_heads)
    chart(
        figure, f"map_{name}", f"Map of {title} scores by layer and head; heads kept at the sparsity chosen are ringed",
        identity=background.data_of(prepared.settings), on_click=clicked,
        selected={"x": head.index, "y": head.layer} if head is not None else None,
    )  # fmt: skip


def clicked(data: list) -> None:
    """A head ``[layer, index]``."""
    state.change(head=str(Head(int(data[0]), int(data[1]))))


def _downloads(figures: dict[str, Figure]) -> None:
    dark = is_dark()  # read here: downloads are made outside a script run
    with st.container(horizontal=True):
        for name, figure in figures.items():
            title = score_views.TITLES[name]
            look.download(
                f"{title} map as HTML", lambda figure=figure, title=title: figure_html(figure, f"{title} scores", dark),
                f"{name}.html", "text/html",
            )  # fmt: skip
