"""One run by its name in the address: of the store, or of a file brought in this tab."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.jobs.snapshot import JobState
from engine.serving.limits import limits
from engine.store.stored_run import StoredRun
from pages.runs import actions, bring, going_on, opened, reading, take_away
from pages.runs.reading import Opened
from pages.shared import glances, look, rooms, runs
from pages.shared.background import background, look_at
from pages.shared.view import View

HEIGHT = 420  # pixels the first of it takes


def show(name: str, view: View) -> None:
    rooms.link("runs", "All runs", run=None)
    actions.undo()
    if name.startswith("file-"):
        _file(name, view)
        return
    listing = background().kept.listing(deleted=limits().keeps)
    stored = next((run for run in listing.runs if run.id == name), None)
    if stored is None:
        _missing(listing.problem)
        return
    _stored(stored, view)


def _missing(problem: str | None) -> None:
    if problem is not None:
        st.error(look.plain(f"The runs kept here cannot be listed. {problem}"), icon=":material/error:")
    look.empty(
        "This run is not here",
        "The link is of another machine, or the run was removed for good. Whoever has it can send it as a capsule, "
        "one small file, to be opened here.",
    )


def _stored(stored: StoredRun, view: View) -> None:
    look.step(None, runs.title_of(stored), "")
    if stored.deleted is not None:
        look.verdict("Deleted.", "It waits under “Deleted” and is removed for good in time.", "wait")
        st.button(
            "Restore", key="restore_opened", icon=":material/undo:", on_click=actions.restore, args=([stored.id],)
        )
    else:
        actions.one(stored)
    if not going_on.is_readable(stored):
        return
    kept = background().kept
    read = _read(("opened", stored.id, stored.bytes, stored.ended), lambda: reading.opened(kept.store(), stored.id))
    if read is not None:
        take_away.show(read, runs.title_of(stored), stored.tags)
        opened.show(read, view)


def _file(name: str, view: View) -> None:
    file = bring.files().get(name)
    if file is None:
        look.empty("The file is not here any more", "It was open in one tab alone. Bring it again below.")
        bring.show()
        return
    look.step(None, file.name, "")
    read = _read(("brought", name), lambda: reading.brought(file.content))
    if read is None:
        return
    bring.keep_it(file, read)
    going_on.explore(read.settings)
    take_away.show(read, read.labels.get("name", ""), tuple(read.labels.get("tags", ())))
    opened.show(read, view)


def _read(key: tuple, read: Callable[[], Opened]) -> Opened | None:
    """In the background; None while it is read or cannot be, which is told."""
    job = look_at(key, lambda watcher: read())
    job.wait(glances.PATIENCE)
    shot = job.snapshot()
    if shot.state is JobState.FAILED:
        st.error(look.plain(shot.error or "It cannot be read."), icon=":material/error:")
        return None
    return glances.of_job(job, "Reading the run", HEIGHT)
