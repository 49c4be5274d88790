"""Automatic settings: trials in the background, their front of size against faithfulness, and the point to use."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from engine.figures.export import figure_html, rows_csv
from engine.figures.tuning import settings_words, tuning_figure, tuning_rows
from engine.jobs.snapshot import JobState, Snapshot
from engine.prepare import Prepared
from engine.serving.limits import limits
from engine.settings import Settings
from engine.tuning.results import ENOUGH_FAITHFULNESS, Trial, Tuning
from pages.shared import job_panel, look, search_jobs, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.link_readers import most_trials
from pages.shared.view import View, search_fields

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TITLE = "Automatic settings (Optuna)"
LEAD = (
    f"{term('trial', 'Trials')} of the mask’s score, its sparsities, s and the smallest effect, each suggested by what "
    f"earlier ones gave. The circuit should be small and {term('faithfulness', 'faithful')} on prompts that are used "
    f"for nothing else. Taken is the smallest with at least {ENOUGH_FAITHFULNESS:g}; the other choice is the "
    f"{term('grid')}, under Advanced."
)
ALT = "Trials by heads in the circuit and faithfulness, with the Pareto front; the one looked at is ringed"
TRIALS_HELP = "In all. Trials are kept on this machine: a larger number goes on where the last one ended."
DEMO_HELP = "In all. This demonstration keeps none of them: each time they begin anew."


def show(prepared: Prepared, view: View) -> None:
    """All of it, folded until trials have been asked for."""
    settings = view.tuned()
    job = search_jobs.tune_job(settings, view.trials)
    with st.expander(TITLE, expanded=job is not None, key="automatic_settings", icon=":material/auto_awesome:"):
        look.lead(LEAD)
        shot = job.snapshot() if job is not None else None
        if job is not None and shot is not None and shot.state.live:
            job_panel.watch(job, "tune", "Trying settings")
            return
        _ask(prepared, view, settings, shot)
        if shot is not None and shot.result is not None:
            _result(view, shot.result)


def _ask(prepared: Prepared, view: View, settings: Settings, shot: Snapshot | None) -> None:
    """How many trials, and Start; a word on an attempt that did not come to its end."""
    if shot is not None and shot.state is JobState.FAILED:
        st.error(look.plain(shot.error or "It did not work, for an unknown reason."), icon=":material/error:")
    if shot is not None and shot.state is JobState.CANCELLED:
        look.verdict("Cancelled.", "The trials done by then are kept." if limits().keeps else "", "wait")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("trials", view.trials)
        st.number_input(
            "Trials", 1, most_trials(), step=10, width=150, help=TRIALS_HELP if limits().keeps else DEMO_HELP,
            **state.bound("trials", trial=None),
        )  # fmt: skip
        if shot is None or shot.state is not JobState.DONE:
            kept = search_jobs.kept_trials(prepared, settings)
            st.button(
                _start_title(kept, view.trials), key="start_tune", icon=":material/auto_awesome:",
                on_click=lambda: _start(settings, view.trials),
            )  # fmt: skip


def _start_title(kept: int, wanted: int) -> str:
    if not kept:
        return "Try settings"
    if kept >= wanted:
        return f"Show {look.count(wanted, 'kept trial')}"
    return f"Go on from {look.count(kept, 'kept trial')}"


def _start(settings: Settings, trials: int) -> None:
    search_jobs.start_tune(settings, trials)


def _result(view: View, tuning: Tuning) -> None:
    """What was tried, the front, and the point looked at."""
    looked_at = _looked_at(view, tuning)
    _verdict(tuning)
    figure = drawn(tuning_figure, tuning, enough=ENOUGH_FAITHFULNESS, dark=is_dark())
    chart(
        figure, "tuning", ALT, identity=view.tuned(), on_click=_clicked,
        selected={"x": looked_at.size, "y": looked_at.faithfulness},
    )  # fmt: skip
    look.note(_measured_words(tuning))
    _choose(tuning, looked_at)
    _list(tuning, figure)


def _verdict(tuning: Tuning) -> None:
    chosen = tuning.chosen
    size, faithful = look.count(chosen.size, "head"), look.number(chosen.faithfulness, 2)
    head = f"Trial {chosen.number}: {size}, faithfulness {faithful}."
    tried = f"{look.count(len(tuning.trials), 'trial')}, {tuning.pruned} not searched because they had no prospect."
    guess = " It still rests on estimates." if chosen.estimated else ""
    look.verdict(head, f"It is {tuning.reason}. {tried}{guess}", "yes" if tuning.complete else "wait")


def _measured_words(tuning: Tuning) -> str:
    """What the numbers stand on."""
    seeds = tuning.seeds
    where = (
        f"{look.count(tuning.n, 'pair')} of seed {seeds.held_out}, neither those effects are measured on (seed "
        f"{seeds.search}) nor those a circuit is reported on (seed {seeds.report})"
        if seeds.fresh
        else f"the same {look.count(tuning.n, 'pair')}, for rows of your own have no others: expect less on new prompts"
    )
    estimates = " Circuits rest on estimated effects but for the one taken." if any(
        trial.estimated for trial in tuning.trials
    ) else ""  # fmt: skip
    return f"Faithfulness by {tuning.ablation.value} ablation of all other heads, on {where}.{estimates} Click a mark."


def _looked_at(view: View, tuning: Tuning) -> Trial:
    """The trial of the address if it was searched, else the one taken."""
    found = (trial for trial in tuning.trials if trial.number == view.trial and trial.outcome is not None)
    return next(found, tuning.chosen)


def _choose(tuning: Tuning, looked_at: Trial) -> None:
    """The front as a list, and the way to use a point of it."""
    numbers = [trial.number for trial in tuning.front]
    if looked_at.number not in numbers:
        numbers.append(looked_at.number)

    def pick() -> None:
        state.change(trial=st.session_state["tuning_trial"])

    st.session_state["tuning_trial"] = looked_at.number
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.selectbox(
            "Trial", numbers, key="tuning_trial", format_func=lambda number: _title(tuning, number), on_change=pick,
            width=520, help="Those on the front, smallest first, and the one clicked.",
        )  # fmt: skip
        used = search_fields(looked_at.settings)
        in_use = all(getattr(state.current(), name) == value for name, value in used.items())
        st.button(
            "In use" if in_use else "Use these settings", key="use_tuned", icon=":material/check:", disabled=in_use,
            on_click=state.change, kwargs=used,
            help="Search inside this mask, with these thresholds. The search is exact where that decides.",
        )  # fmt: skip


def _title(tuning: Tuning, number: int) -> str:
    trial = tuning.trials[number]
    taken = "Taken: " if number == tuning.chosen.number else ""
    return (
        f"{taken}{look.count(trial.size, 'head')} · faithfulness {look.number(trial.faithfulness, 2)} · "
        f"{settings_words(trial.settings)}"
    )


def _clicked(data: list[Any]) -> None:
    """A mark ``["trial", number]``."""
    state.change(trial=int(data[1]))


def _list(tuning: Tuning, figure: Figure) -> None:
    rows, dark = tuning_rows(tuning), is_dark()
    number = st.column_config.NumberColumn
    st.dataframe(
        rows, hide_index=True, height=280,
        column_config={
            "faithfulness": number(format="%.3f"), "performance %": number(format="%.1f"),
            "sparsity": number(format="%.2f"), "FLAP sparsity": number(format="%.2f"),
            "smallest effect": number(format="%g"),
        },
    )  # fmt: skip
    with st.container(horizontal=True):
        look.download("Trials as CSV", lambda: rows_csv(rows), "trials.csv", "text/csv")
        look.download("Front as HTML", lambda: figure_html(figure, escape(TITLE), dark), "trials.html", "text/html")
