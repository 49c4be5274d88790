"""A search that was interrupted, by a crash or a server's end: offered wherever a search of its settings would be."""

from __future__ import annotations

import streamlit as st

from engine.errors import HeadlightError
from engine.serving.limits import limits
from engine.settings import Settings
from engine.store.stored_run import StoredRun
from pages.shared import look, rooms, search_jobs
from pages.shared.background import background


def offer(settings: Settings) -> bool:
    """Draw it, if there is one; then it takes the place of a button to start the search."""
    run = background().kept.interrupted(settings) if limits().keeps else None  # else nobody could go on with it
    if run is None:
        return False
    share = background().kept.share_of(run)
    far = f" at about {100 * share:.0f} %" if share is not None else ""
    look.verdict(
        "Interrupted.",
        f"A search with these settings was stopped{far} when its program ended. What it had finished is kept.", "wait",
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="interrupted"):
        st.button(
            "Go on", key="start_search", type="primary", icon=":material/play_arrow:", on_click=_start,
            args=(settings,), help="What was finished is not done again.",
        )  # fmt: skip
        st.button(
            "Start anew", key="start_anew", icon=":material/restart_alt:", on_click=_anew, args=(run, settings),
            help="The interrupted run goes to “Deleted”.",
        )  # fmt: skip
        rooms.link("runs", "See it in Runs", run=run.id)
    return True


def _start(settings: Settings) -> None:
    search_jobs.start_search(settings)


def _anew(run: StoredRun, settings: Settings) -> None:
    kept = background().kept
    try:
        kept.store().delete(run.id)
    except HeadlightError as error:
        st.toast(look.plain(str(error)), icon=":material/error:")
        return
    finally:
        kept.changed()
    search_jobs.start_search(settings)
