"""How a run ended, and the way on: with one that was interrupted, stopped or failed, and to the pages that explore."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from engine.cost.duration import duration
from engine.errors import HeadlightError
from engine.record.reader import Reader
from engine.record.settings_reading import read_settings
from engine.settings import Settings
from engine.store.stored_run import RunState, StoredRun
from pages.runs.rows import when
from pages.shared import look, rooms, search_jobs
from pages.shared.background import background
from pages.shared.runs import WITH_RECORD
from pages.shared.view import DEFAULT, run_fields


def is_readable(run: StoredRun) -> bool:
    """Whether it holds something that was found."""
    return run.state in WITH_RECORD and run.error is None


def tell(run: StoredRun) -> None:
    """State, times and reason."""
    took = duration(run.summary.get("seconds", run.seconds or 0.0))
    if run.state is RunState.DONE:
        look.note(f"Begun {when(run.created)}, done; it worked for {took}.")
    elif run.state is RunState.CANCELLED:
        look.verdict("Cancelled.", f"Begun {when(run.created)}. What had been found by then is kept.", "wait")
    elif run.state is RunState.FAILED:
        look.verdict("Failed.", run.error or "For a reason that is not known.", "no")
    elif run.state is RunState.INCOMPLETE:
        share = background().kept.share_of(run)
        far = f" at about {100 * share:.0f} %" if share is not None else ""
        look.verdict(
            "Interrupted.",
            f"Begun {when(run.created)}, stopped{far} when its program ended. What it had finished is kept.", "wait",
        )  # fmt: skip
    else:
        look.note(f"Begun {when(run.created)} and at work, here or in another program.")


def buttons(run: StoredRun) -> None:
    """Go on with one that did not end well, and see one on the pages that explore."""
    try:
        settings = read_settings(Reader(run.settings, "the run’s settings"))
    except HeadlightError as error:
        look.note(str(error))
        return
    if run.state in (RunState.INCOMPLETE, RunState.FAILED, RunState.CANCELLED):
        _go_on(run, settings)
    explore(settings)


def _go_on(run: StoredRun, settings: Settings) -> None:
    job = search_jobs.search_job(settings)
    if job is not None and job.live:
        look.note("It is being searched again: see the jobs at the side.")
        return

    def start() -> None:
        search_jobs.start_search(settings)
        background().kept.changed()

    st.button(
        "Go on", key=f"go_on_{run.id}", type="primary", icon=":material/play_arrow:", on_click=start,
        help="Searches with the same settings; what was finished is not done again.",
    )  # fmt: skip


def explore(settings: Settings) -> None:
    """To the Explorer with its settings, if the pages can ask for them."""
    if can_show(settings):
        rooms.link("explorer", "Open in the Explorer", **run_fields(settings))
    else:
        look.note("Its settings cannot be chosen on these pages, so it opens here alone.")


def can_show(settings: Settings) -> bool:
    """Whether a view can ask for exactly these."""
    return replace(DEFAULT, **run_fields(settings)).settings() == settings
