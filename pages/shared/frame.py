"""What every page begins with: its heading, what a link got wrong, and the model and prompts it needs."""

from __future__ import annotations

import streamlit as st

from engine.jobs.snapshot import JobState
from engine.prepare import Prepared
from engine.settings import Settings
from pages.shared import background, job_panel, look, state


def opening(title: str, lead: str) -> None:
    """The heading of a page other than the Explorer; ``lead`` is our own HTML."""
    look.title(title, lead)
    link_problems()


def link_problems() -> None:
    """What could not be used of the link that was opened. Keeps its place when there is nothing to say."""
    with st.container(key="link_problems"):
        for problem in state.link_problems():
            st.warning(look.plain(problem), icon=":material/link_off:")


def ready(settings: Settings) -> Prepared | None:
    """The model with its prompts and scores; None while there is nothing to go on with, which is then told.

    A page that gets None has nothing left to draw.
    """
    background.follow(settings)
    job = background.ready_job(settings) or background.start_ready(settings)
    shot = job.snapshot()
    if shot.state.live:
        job_panel.watch(job, "ready", "Getting the model and its prompts ready")
        _what_follows()
        return None
    if shot.state is not JobState.DONE:
        job_panel.problem(shot, "ready", lambda: background.start_ready(settings))
        return None
    return shot.result


def _what_follows() -> None:
    """The shape of what comes, so that the page does not jump when it does."""
    st.skeleton(height=170)
    st.skeleton(height=90)
