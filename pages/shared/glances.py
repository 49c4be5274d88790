"""Quick looks at a model, such as one head's attention: usually there at once, never waited for by the page."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import streamlit as st

from engine.jobs.job import Job
from engine.jobs.snapshot import JobState
from engine.prepare import Prepared
from pages.shared import background, look

PATIENCE = 0.25  # seconds a page run may wait, which nearly always is enough
POLL_SECONDS = 0.5

T = TypeVar("T")


def result(prepared: Prepared, what: Hashable, see: Callable[[Prepared], T], waiting: str, height: int) -> T | None:
    """What ``see`` returns, the same for the same ``what``; None while it is not there or cannot be, which is told.

    ``height`` (pixels) is what the result will take, so that nothing moves when it comes.
    """
    return of_job(background.glance(prepared.settings, what, see), waiting, height)


def of_job(job: Job, waiting: str, height: int) -> Any:
    """What the job of a glance returned; None while it is not there or cannot be, which is told."""
    job.wait(PATIENCE)
    if job.live:
        _await(job, waiting, height)
        return None
    shot = job.snapshot()
    if shot.state is JobState.FAILED:
        look.note(shot.error or "It did not work, for an unknown reason.")
    return shot.result


def _await(job: Job, waiting: str, height: int) -> None:
    @st.fragment(run_every=POLL_SECONDS, key=f"glance_{waiting}")
    def poll() -> None:
        if not job.live:
            st.rerun(scope="app")
        look.note(f"{waiting} …")
        st.skeleton(height=height)

    poll()
