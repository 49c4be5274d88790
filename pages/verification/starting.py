"""An evaluation as a job: started by itself where it takes seconds, else by a button that says how long."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.duration import duration
from engine.job import Job
from pages.shared import job_panel, look

AT_ONCE = 10.0  # seconds that nobody needs to be asked for


def result(
    name: str, waiting: str, label: str, job: Job | None, start: Callable[[], Job], seconds: Callable[[], float]
) -> object | None:
    """What the job returned; None while there is nothing, which is then told.

    ``name`` makes widget keys, ``waiting`` says what is waited for, ``label`` is the button's.
    """
    if job is None:
        expected = seconds()
        if expected > AT_ONCE:
            _offer(name, label, start, expected)
            return None
        job = start()
    shot = job.snapshot()
    if shot.state.live:
        job_panel.watch(job, name, waiting)
        return None
    if shot.result is None:
        job_panel.problem(shot, name, start)
    return shot.result


def _offer(name: str, label: str, start: Callable[[], Job], expected: float) -> None:
    def begin() -> None:
        start()

    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(label, key=f"start_{name}", type="primary", icon=":material/fact_check:", on_click=begin)
        look.note(f"About {duration(expected)} on this machine (estimate). Nothing else waits for it.")
