"""The performance curves, measured in the background: both of the paper's scores with the nine unions, then that of the
score shown where it is another, then random head sets."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from engine.jobs.job import Job
from engine.jobs.snapshot import JobState
from engine.pruning.sparsity_sweep import BAND_STAGE, PAPER_SCORES, Pruning, RandomBand, Sweep
from engine.scores.kinds import TITLES, Score
from engine.settings import Settings
from pages.shared import background, job_panel, search_jobs
from pages.shared.work import result_of


@dataclass(frozen=True, eq=False)
class Curves:
    """What has been measured so far, ``own`` of the further score shown, and the job under way, if any."""

    pruning: Pruning | None
    own: Sweep | None
    band: RandomBand | None
    live: Job | None

    @property
    def sweeps(self) -> list[Sweep]:
        """All curves there are, that of the score shown last."""
        both = list(self.pruning.sweeps.values()) if self.pruning is not None else []
        return both + ([self.own] if self.own is not None else [])


def measure(settings: Settings, with_band: bool = True, shown: Score | None = None) -> Curves:
    """Start what is missing (the random sets only ``with_band``); returns what there is.

    ``shown``: a score, measured already, whose curve is wanted too.
    """
    curve = background.curve_job(settings) or background.start_curve(settings)
    pruning = result_of(curve)
    own = _own(settings, shown) if pruning is not None else None
    band = background.band_job(settings)
    if with_band and pruning is not None and (band is None or background.was_postponed(band)):
        search = search_jobs.search_job(settings)
        if search is None or not search.live:  # what a person asked for goes first
            band = background.start_band(settings)
    jobs = (curve, own, band) if with_band else (curve, own)
    live = next((job for job in jobs if job is not None and job.live), None)
    return Curves(pruning, result_of(own), result_of(band), live)


def _own(settings: Settings, shown: Score | None) -> Job | None:
    """The curve of a score that is not one of the paper's two."""
    if shown is None or shown in PAPER_SCORES:
        return None
    return background.sweep_job(settings, shown) or background.start_sweep(settings, shown)


def progress(settings: Settings, curves: Curves, shown: Score | None = None) -> None:
    """What is being measured, and what was not to be had. Keeps its place when there is nothing to say."""
    with st.container(key="curves_progress"):
        if curves.live is not None:
            job_panel.watch(curves.live, "curve", _waiting(curves.live))
        _problems(settings, shown)


def _waiting(job: Job) -> str:
    kind, score = (job.key[0], job.key[-1]) if isinstance(job.key, tuple) else (None, None)
    if kind == "sweep" and isinstance(score, Score):
        return f"Measuring the performance curve of {TITLES[score].lower()}"
    return "Measuring random head sets, for comparison" if kind == "band" else "Measuring the performance curves"


def _problems(settings: Settings, shown: Score | None) -> None:
    requests = [
        (background.curve_job(settings), "curve", lambda: background.start_curve(settings)),
        (background.band_job(settings), BAND_STAGE, lambda: background.start_band(settings)),
    ]
    if shown is not None and shown not in PAPER_SCORES:
        own = background.sweep_job(settings, shown)
        requests.append((own, "sweep", lambda: background.start_sweep(settings, shown)))
    for job, name, start in requests:
        if job is None or background.was_postponed(job):
            continue
        if job.snapshot().state in (JobState.FAILED, JobState.CANCELLED):
            job_panel.problem(job.snapshot(), name, start)
