"""An evaluation as a job: started by itself where it takes seconds, else by a button that says how long."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import streamlit as st

from engine.cost.duration import duration
from engine.jobs.job import Job
from pages.shared import job_panel, look

AT_ONCE = 10.0  # seconds that nobody needs to be asked for


def result(
    name: str, waiting: str, label: str, job: Job | None, start: Callable[[], Job], what: Hashable,
    seconds: Callable[[], float],
) -> object | None:  # fmt: skip
    """What the job returned; None while there is nothing, which is then told.

    ``name`` makes widget keys, ``waiting`` says what is waited for, ``label`` is the button's. ``seconds`` tells how
    long it will take, the same for the same ``what``.
    """
    if job is None:
        expected = _expected(name, what, seconds)
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


def _expected(name: str, what: Hashable, seconds: Callable[[], float]) -> float:
    """Worked out once: a large circuit's takes a moment."""
    place = f"headlight_expected_{name}"
    known = st.session_state.get(place)
    if known is None or known[0] != what:
        known = st.session_state[place] = (what, seconds())
    return known[1]


def _offer(name: str, label: str, start: Callable[[], Job], expected: float) -> None:
    def begin() -> None:
        start()

    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(label, key=f"start_{name}", type="primary", icon=":material/fact_check:", on_click=begin)
        look.note(f"About {duration(expected)} on this machine (estimate). Nothing else waits for it.")
