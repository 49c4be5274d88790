"""Runs that were deleted: to restore, or to remove from the disk for good."""

from __future__ import annotations

import time

import streamlit as st

from engine.cost.duration import duration
from engine.store.stored_run import StoredRun
from pages.runs import actions
from pages.runs.rows import size_words, when
from pages.shared import look, runs
from pages.shared.background import background

KEPT_DAYS = 30
DAY = 86_400.0  # seconds
MOST_SHOWN = 50
SURE = "headlight_runs_purge_sure"


def show() -> None:
    actions.undo()
    listing = background().kept.listing(deleted=True)
    if listing.problem is not None:
        st.error(look.plain(f"The runs kept here cannot be listed. {listing.problem}"), icon=":material/error:")
        return
    gone = [run for run in listing.runs if run.deleted is not None]
    if not gone:
        look.empty("Nothing is deleted", f"What you delete waits here for {KEPT_DAYS} days and can be restored.")
        return
    look.note(
        f"{look.count(len(gone), 'run')}, {size_words(sum(run.bytes for run in gone))} on disk. Each is removed for "
        f"good {KEPT_DAYS} days after it was deleted."
    )
    for run in gone[:MOST_SHOWN]:
        _line(run)
    if len(gone) > MOST_SHOWN:
        look.note(f"Shown: {MOST_SHOWN} of {len(gone)}.")
    _purge(gone)


def _line(run: StoredRun) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"deleted_{run.id}"):
        since = max(0.0, time.time() - (run.deleted or 0.0))
        ago = f"{since / DAY:.0f} days ago" if since >= 2 * DAY else f"{duration(since)} ago"
        st.markdown(
            f"{look.plain(runs.title_of(run))}  \n:small[:gray[begun {when(run.created)} · deleted {ago} · "
            f"{size_words(run.bytes)}]]",
            width="stretch",
        )
        st.button(
            "Restore", key=f"restore_{run.id}", icon=":material/undo:", on_click=actions.restore, args=([run.id],)
        )


def _purge(gone: list[StoredRun]) -> None:
    """Asked twice: nothing brings them back."""
    st.checkbox(f"I want {look.count(len(gone), 'run')} removed from the disk for good", key=SURE)
    st.button(
        "Remove for good", key="purge_runs", icon=":material/delete_forever:", on_click=_remove,
        disabled=not st.session_state[SURE],
    )  # fmt: skip


def _remove() -> None:
    st.session_state[SURE] = False
    st.session_state.pop(actions.DELETED, None)
    if actions.change(lambda store: store.purge(0.0)):
        st.toast("Removed for good.", icon=":material/delete_forever:")
