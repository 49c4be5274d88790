"""Runs kept on disk brought back to the pages: as a finished search, or opened to be read.

Nothing heavy is done in the script: whether there is one says the index, reading it is a glance's.
"""

from __future__ import annotations

import streamlit as st

from engine.jobs.job import Job
from engine.jobs.manager import kind_of
from engine.settings import Settings
from pages.shared import work
from pages.shared.background import background, look_at
from pages.shared.glances import PATIENCE, POLL_SECONDS

RESTORE = "restore"


def brought_back(settings: Settings) -> Job | None:
    """The finished search of a run that an earlier server or another program kept; None if there is none, or not yet.

    Only for a model in memory: the run must be of its very weights.
    """
    behind = background()
    model = behind.shelf.at_hand(settings.model)
    stored = behind.kept.find(settings, model.fingerprint) if model is not None else None
    if stored is None:
        return None
    key = (RESTORE, settings, stored.id)
    known = behind.glances.find(key)
    if known is not None and known.snapshot().result is not None:  # read before, and pushed out since
        behind.glances.forget(key)
    look_at(key, lambda watcher: work.restore(behind, settings, stored.id, watcher)).wait(PATIENCE)
    return behind.jobs.find(("search", settings))


def follow() -> None:
    """Runs the page again once a run that was still being read is there."""
    reading = [job for job in background().glances.all() if kind_of(job.key) == RESTORE and job.live]
    if not reading:
        return

    @st.fragment(run_every=POLL_SECONDS, key="kept_runs")
    def poll() -> None:
        if not any(job.live for job in reading):
            st.rerun(scope="app")

    poll()
