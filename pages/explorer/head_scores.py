"""Step 2: how much each head matters before any patching, and what happens when the rest is removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st
import torch
from torch import Tensor

from engine.figures.explorer import explorer_figure
from engine.figures.export import figure_html, rows_csv
from engine.figures.results import SCORE_NAMES
from engine.figures.tables import score_rows, sweep_rows
from engine.heads import Head
from engine.job import Job, JobState
from engine.prepare import HeadScores, Prepared
from engine.pruning import drop_sparsity
from engine.settings import Settings
from engine.sparsity_sweep import BAND_STAGE, Pruning, RandomBand
from pages.shared import background, job_panel, look, state
from pages.shared.chart import chart, is_dark
from pages.shared.glossary import term
from pages.shared.view import SCORES, View

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEAD = (
    f"Two scores that need no patching: {term('FLAP')}, how much a head’s output varies, and {term('C-FLAP')}, how "
    "much it changes between clean and corrupted prompts. Drag the slider: ringed heads are kept, all others removed "
    f"by {term('mean ablation')}, and the curve says how much {term('performance')} is left."
)
ALT = "Map of head scores by layer and head, kept heads ringed; below it performance against sparsity, with a slider"
TITLES = {"contrastive_flap": "C-FLAP", "flap": "FLAP", "merged": "Merged", "difference": "Difference"}
BAR_NAMES = {
    "contrastive_flap": "C-FLAP (z)",
    "flap": "FLAP (z)",
    "merged": "larger of both (z)",
    "difference": "C-FLAP − FLAP (z)",
}


@dataclass(frozen=True, eq=False)
class Curves:
    """What has been measured so far."""

    pruning: Pruning | None
    band: RandomBand | None


def show(prepared: Prepared, view: View, settings: Settings) -> Curves:
    """Draw the step and keep its curves coming in the background."""
    look.step(2, "Which heads stand out?", LEAD)
    curves, live = _measure(settings)
    _controls(view, curves)
    figure = _figure(prepared, view, curves)
    chart(
        figure,
        "scores",
        ALT,
        identity=background.data_of(settings),
        on_click=_clicked,
        on_drag=lambda sparsity: state.change(sparsity=sparsity),
        slider=round(100 * view.sparsity),
        selected=_mark(prepared, view),
    )
    if live is not None:
        job_panel.watch(live, "curve", _waiting(live))
    _problems(settings)
    _tables(prepared, curves, figure)
    return curves


def _measure(settings: Settings) -> tuple[Curves, Job | None]:
    """Start what is missing; returns what there is and the job under way, if any."""
    curve = background.curve_job(settings) or background.start_curve(settings)
    pruning = background.result_of(curve)
    band = background.band_job(settings)
    if pruning is not None and (band is None or background.was_postponed(band)):
        search = background.search_job(settings)
        if search is None or not search.live:  # what a person asked for goes first
            band = background.start_band(settings)
    live = next((job for job in (curve, band) if job is not None and job.live), None)
    return Curves(pruning, background.result_of(band)), live


def _waiting(job: Job) -> str:
    is_band = isinstance(job.key, tuple) and job.key[0] == "band"
    return "Measuring random head sets, for comparison" if is_band else "Measuring the performance curves"


def _problems(settings: Settings) -> None:
    for job, name, start in (
        (background.curve_job(settings), "curve", background.start_curve),
        (background.band_job(settings), BAND_STAGE, background.start_band),
    ):
        if job is None or background.was_postponed(job):
            continue
        if job.snapshot().state in (JobState.FAILED, JobState.CANCELLED):
            job_panel.problem(job.snapshot(), name, lambda start=start: start(settings))


def _controls(view: View, curves: Curves) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("score", view.score)
        st.segmented_control(
            "Score shown", SCORES, format_func=TITLES.__getitem__, required=True, wrap=True, **state.bound("score"),
            help="Merged rings every head that either score keeps. Difference shows where the two disagree.",
        )  # fmt: skip
        state.show("sparsity", view.sparsity)
        st.number_input(
            "Sparsity", 0.0, 0.99, step=0.01, format="%.2f", width=150,
            help="Share of all heads removed. The slider under the map does the same.",
            **state.bound("sparsity", read=lambda value: round(value, 2)),
        )  # fmt: skip
        for label, sparsity, reason in _presets(view, curves):
            st.button(
                label, help=reason, key=f"preset_{label}", on_click=state.change, kwargs={"sparsity": sparsity},
                icon=":material/check:" if sparsity == view.sparsity else None,
            )  # fmt: skip


def _presets(view: View, curves: Curves) -> list[tuple[str, float, str]]:
    """(label, sparsity, reason) of the cliff points on the curve of the score shown."""
    if curves.pruning is None:
        return []
    score = "flap" if view.score == "flap" else "contrastive_flap"
    cliffs = curves.pruning.sweeps[score].cliffs.all()
    return [
        (
            f"{cliff.kind.value.capitalize()} cliff · {cliff.sparsity:.2f}",
            cliff.sparsity,
            f"{SCORE_NAMES[score]}: {cliff.reason}",
        )
        for cliff in cliffs
    ]


def _clicked(data: list) -> None:
    """A cell ``[layer, head]``, or a point of a curve ``["sparsity", p]``."""
    if data[0] == "sparsity":
        state.change(sparsity=round(float(data[1]), 2))
    else:
        state.change(head=str(Head(int(data[0]), int(data[1]))))


def _mark(prepared: Prepared, view: View) -> dict[str, int] | None:
    head = state.selected_head(prepared.model.n_layers, prepared.model.n_heads)
    return {"x": head.index, "y": head.layer} if head is not None else None


def _figure(prepared: Prepared, view: View, curves: Curves) -> Figure:
    # One figure for each thing it shows; the slider's place is no part of it (chart.js moves that).
    scores = prepared.scores
    return explorer_figure(
        shown_scores(scores, view.score),
        drops(scores, view.score),
        name=BAR_NAMES[view.score],
        sweeps=list(curves.pruning.sweeps.values()) if curves.pruning else [],
        active=None if view.score == "merged" else view.mask_score.value,
        band=curves.band,
        sparsity=View.sparsity,
        dark=is_dark(),
    )


def shown_scores(scores: HeadScores, name: str) -> Tensor:
    """The map's values ``[layer head]``."""
    if name == "merged":
        return torch.maximum(scores.flap, scores.contrastive_flap)
    if name == "difference":
        return scores.contrastive_flap - scores.flap
    return scores.flap if name == "flap" else scores.contrastive_flap


def drops(scores: HeadScores, name: str) -> Tensor:
    """The sparsity that drops each head of the ringed mask ``[layer head]``."""
    if name == "merged":  # the union keeps a head as long as either score does
        return torch.maximum(drop_sparsity(scores.flap), drop_sparsity(scores.contrastive_flap))
    return drop_sparsity(scores.flap if name == "flap" else scores.contrastive_flap)


def _tables(prepared: Prepared, curves: Curves, figure: Figure) -> None:
    rows = score_rows({"contrastive_flap": prepared.scores.contrastive_flap, "flap": prepared.scores.flap})
    points = sweep_rows(list(curves.pruning.sweeps.values()), curves.band) if curves.pruning is not None else []
    dark = is_dark()
    with st.expander("The same as tables, and downloads", key="twin_scores"):
        heads, sweeps = st.tabs(["Scores", "Curves"])
        heads.dataframe(rows, hide_index=True, height=320)
        with sweeps:
            if points:
                st.dataframe(points, hide_index=True, height=320)
            else:
                look.note("The curves are still being measured.")
        with st.container(horizontal=True):
            look.download("Scores as CSV", lambda: rows_csv(rows), "head-scores.csv", "text/csv")
            if points:
                look.download("Curves as CSV", lambda: rows_csv(points), "curves.csv", "text/csv")
            look.download(
                "Figure as HTML", lambda: figure_html(figure, "Head scores", dark), "head-scores.html", "text/html"
            )
