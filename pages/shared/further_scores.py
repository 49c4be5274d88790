"""Head scores that take backward passes: measured in the background once somebody looks at one."""

from __future__ import annotations

import streamlit as st

from engine.prepare import Prepared
from engine.scores.kinds import Score
from engine.scoring.attribution import added
from engine.settings import Settings
from pages.shared import background, job_panel, score_views
from pages.shared.glances import PATIENCE
from pages.shared.work import result_of


def measured(prepared: Prepared, settings: Settings, score: Score) -> Prepared:
    """``prepared`` with ``score`` among its scores, once that has been measured; started if nobody has."""
    if prepared.scores.has(score):
        return prepared
    job = background.score_job(settings, score.source) or background.start_score(settings, score.source)
    job.wait(PATIENCE)  # on a small model enough
    done = result_of(job)
    return prepared if done is None else added(prepared, done)


def progress(prepared: Prepared, settings: Settings, score: Score) -> None:
    """That it is being measured, or why it is not to be had. Keeps its place when there is nothing to say."""
    with st.container(key="score_progress"):
        job = background.score_job(settings, score.source)
        if prepared.scores.has(score) or job is None:
            return
        if job.live:
            job_panel.watch(job, "score", f"Measuring {score_views.TITLES[score].lower()}")
        else:
            job_panel.problem(job.snapshot(), "score", lambda: background.start_score(settings, score.source))
