"""Step 2: how much each head matters before any patching, and what happens when the rest is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from engine.figures.explorer import explorer_figure
from engine.figures.export import figure_html, rows_csv
from engine.figures.results import SCORE_NAMES
from engine.figures.tables import score_rows, sweep_rows
from engine.heads import Head
from engine.prepare import Prepared
from engine.pruning.sparsity_sweep import RandomBand, Sweep
from engine.scores.head_scores import HeadScores
from engine.scores.kinds import Score
from engine.settings import Settings
from pages.shared import background, curves, further_scores, look, score_recall, score_views, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.curves import Curves
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


def show(prepared: Prepared, view: View, settings: Settings) -> Curves:
    """Draw the step and keep its curves coming in the background."""
    look.step(2, "Which heads stand out?", LEAD)
    shown = _with_curve(prepared, view)
    measured = curves.measure(settings, shown=shown)
    _controls(view, measured)
    with st.container(key="own_flap"):
        if view.own_flap_sparsity is not None:
            _own_flap(view.own_flap_sparsity)
    score_recall.show()
    further_scores.progress(prepared, settings, view.mask_score)
    figure = _map(prepared, view, settings, measured)
    curves.progress(settings, measured, shown)
    _tables(prepared, measured, figure)
    return measured


def _with_curve(prepared: Prepared, view: View) -> Score | None:
    """The score behind the map, once it has been measured; a union of two sparsities has no curve over one."""
    known = prepared.scores.has(view.mask_score) and view.own_flap_sparsity is None
    return view.mask_score if known else None


def _map(prepared: Prepared, view: View, settings: Settings, measured: Curves) -> Figure | None:
    """The map with its curve; None while the score shown is not there."""
    if not prepared.scores.has(view.mask_score):
        look.empty("The map appears here", "As soon as the score is measured, with its slider and the curves.")
        return None
    figure = drawn(
        _figure, prepared.scores, view.score, view.own_flap_sparsity, tuple(measured.sweeps), measured.band, is_dark()
    )
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
    return figure


def _controls(view: View, measured: Curves) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("score", view.score)
        st.segmented_control(
            "Score shown", SCORES, format_func=score_views.TITLES.__getitem__, required=True, wrap=True,
            help=score_views.HELP, **state.bound("score"),
        )  # fmt: skip
        state.show("sparsity", view.sparsity)
        st.number_input(
            "Sparsity", 0.0, 0.99, step=0.01, format="%.2f", width=150,
            help="Share of all heads removed. The slider under the map does the same.",
            **state.bound("sparsity", read=lambda value: round(value, 2)),
        )  # fmt: skip
        for label, sparsity, reason in _presets(view, measured):
            st.button(
                label, help=reason, key=f"preset_{label}", on_click=state.change, kwargs={"sparsity": sparsity},
                icon=":material/check:" if sparsity == view.sparsity else None,
            )  # fmt: skip


def _own_flap(sparsity: float) -> None:
    """That FLAP's share of the union stands still, and the way back."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"FLAP’s share of this union is kept at sparsity **{sparsity:.2f}**; the slider moves C-FLAP’s.",
            width="content",
        )
        st.button(
            "One sparsity for both", key="flap_together", icon=":material/undo:", on_click=state.change,
            kwargs={"flap_sparsity": None},
        )  # fmt: skip


def _presets(view: View, measured: Curves) -> list[tuple[str, float, str]]:
    """(label, sparsity, reason) of the cliff points on the curve of the score shown."""
    sweep = next((sweep for sweep in measured.sweeps if sweep.score == view.mask_score), None)
    if sweep is None:
        return []
    return [
        (
            f"{cliff.kind.value.capitalize()} cliff · {cliff.sparsity:.2f}",
            cliff.sparsity,
            f"{SCORE_NAMES[sweep.score]}: {cliff.reason}",
        )
        for cliff in sweep.cliffs.all()
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


def _figure(
    scores: HeadScores, shown: str, flap: float | None, sweeps: tuple[Sweep, ...], band: RandomBand | None, dark: bool
) -> Figure:
    """The slider's place and the selected head are no part of it: chart.js moves both."""
    view = View(score=shown)
    return explorer_figure(
        score_views.shown_scores(scores, shown),
        score_views.drops(scores, shown, flap),
        name=score_views.BAR_NAMES[shown],
        sweeps=sweeps,
        active=None if flap is not None else view.mask_score.value,
        band=band,
        sparsity=View.sparsity,
        dark=dark,
    )


def _tables(prepared: Prepared, measured: Curves, figure: Figure | None) -> None:
    rows = score_rows({score.value: prepared.scores.of(score) for score in prepared.scores.available()})
    points = sweep_rows(measured.sweeps, measured.band) if measured.sweeps else []
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
            if figure is not None:
                look.download(
                    "Figure as HTML", lambda: figure_html(figure, "Head scores", dark), "head-scores.html", "text/html"
                )
