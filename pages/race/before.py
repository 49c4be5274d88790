"""Before the start: what each contestant will take, what is at stake, and what there is already."""

from __future__ import annotations

import streamlit as st

from engine.cost.duration import duration
from engine.cost.estimate import Estimate, estimate_run
from engine.jobs.snapshot import JobState
from engine.prepare import Prepared
from engine.pruning.candidates import likely_keep
from engine.settings import Method
from pages.race.contestants import Lane
from pages.race.lane import heading
from pages.shared import background, look, rooms, search_jobs, search_run, state
from pages.shared.view import MODES, View
from pages.shared.work import result_of

STAKES = (
    "Measured for each: work in matmul FLOPs and forward passes, seconds, and how true its circuit is. APP is charged "
    "its pruning sweep, even where that was measured before. Dense is the standard: what of it APP finds again is its "
    "recall. Where effects are screened, dense is cheap too and may win."
)
MODE_TITLES = {"screened": "Screened", "exact": "Exact"}


def show(prepared: Prepared, lanes: tuple[Lane, Lane]) -> None:
    view = state.current()
    look.step(None, "At the start", STAKES)
    for column, lane in zip(st.columns(2, gap="medium"), lanes, strict=True):
        with column, st.container(border=True, key=f"start_{lane.contestant.name}"):
            heading(lane.contestant)
            _card(prepared, lane)
    _start(prepared, view, lanes)


def _card(prepared: Prepared, lane: Lane) -> None:
    """What it will take, or how it went."""
    shot = lane.shot
    if shot is not None and lane.done:
        look.verdict("Already run.", f"It took {duration(shot.seconds)} and does not run again.")
        return
    if shot is not None and shot.state is JobState.FAILED:
        look.verdict("Failed.", shot.error or "For an unknown reason.", "no")
    elif shot is not None:
        kept = "What it had found is kept below." if shot.result is not None else "It had found nothing yet."
        look.verdict("Cancelled.", kept, "wait")
    look.facts(_facts(estimate(prepared, lane)))


def estimate(prepared: Prepared, lane: Lane) -> Estimate:
    """What its whole run will take: close where it has been looked ahead for, rough elsewhere."""
    settings = lane.contestant.settings
    pruning = result_of(background.curve_job(settings))
    pilot = result_of(search_jobs.pilot_job(settings))
    return estimate_run(prepared, likely_keep(prepared, settings, pruning), settings, pilot)


def _facts(likely: Estimate) -> list[look.Fact]:
    return [
        look.Fact(
            "Whole run, estimated", f"≈ {duration(max(1.0, likely.seconds))}", "",
            f"≈ {likely.forward_passes:,.0f} forward passes over all pairs",
        ),
        look.Fact(
            "Search alone, estimated", f"≈ {duration(max(1.0, likely.search.seconds))}", "",
            f"≈ {likely.search.forward_passes:,.0f} passes; at most {duration(max(1.0, likely.most.seconds))}",
        ),
        look.Fact("Candidates", f"{likely.senders}", "heads", "may send and receive"),
    ]  # fmt: skip


def _start(prepared: Prepared, view: View, lanes: tuple[Lane, Lane]) -> None:
    app, _ = (lane.contestant.settings for lane in lanes)
    waits = app.method is Method.APP and app.sparsity is None and background.curve_job(app) is None
    look.note(
        "Estimates from the formulas of the work and this machine’s speed. "
        + ("How many heads APP may use is known once it has pruned. " if waits else "")
        + f"Both: {search_run.how_words(app)}. The Explorer changes that, and among which heads APP searches."
    )
    if not prepared.baseline.capable:
        look.note("The model does not do this task, so what a search finds would explain guesses.")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        fast = prepared.model.fast
        state.show("mode", view.mode if fast else "exact")
        st.segmented_control(
            "How effects are measured", MODES, format_func=MODE_TITLES.__getitem__, required=True, disabled=not fast,
            **state.bound("mode"),
        )  # fmt: skip
        st.button(
            _label(lanes), key="start_race", type="primary", icon=":material/flag:",
            on_click=search_jobs.start_race, args=([lane.contestant.settings for lane in lanes],),
        )  # fmt: skip
        rooms.link("explorer", "Change the settings")


def _label(lanes: tuple[Lane, Lane]) -> str:
    missing = [lane.contestant for lane in lanes if not lane.done]
    if len(missing) == 1:
        return f"Run {missing[0].title if missing[0].name == 'app' else 'dense'} too"
    return "Start the race" if all(lane.shot is None for lane in lanes) else "Race again"
