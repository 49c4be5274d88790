"""The performance curves, measured in the background: both scores with the nine unions, then random head sets."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from engine.job import Job, JobState
from engine.settings import Settings
from engine.sparsity_sweep import BAND_STAGE, Pruning, RandomBand
from pages.shared import background, job_panel
from pages.shared.work import result_of


@dataclass(frozen=True, eq=False)
class Curves:
    """What has been measured so far, and the job under way, if any."""

    pruning: Pruning | None
    band: RandomBand | None
    live: Job | None


def measure(settings: Settings, with_band: bool = True) -> Curves:
    """Start what is missing (the random sets only ``with_band``); returns what there is."""
    curve = background.curve_job(settings) or background.start_curve(settings)
    pruning = result_of(curve)
    band = background.band_job(settings)
    if with_band and pruning is not None and (band is None or background.was_postponed(band)):
        search = background.search_job(settings)
        if search is None or not search.live:  # what a person asked for goes first
            band = background.start_band(settings)
    jobs = (curve, band) if with_band else (curve,)
    live = next((job for job in jobs if job is not None and job.live), None)
    return Curves(pruning, result_of(band), live)


def progress(settings: Settings, curves: Curves) -> None:
    """What is being measured, and what was not to be had. Keeps its place when there is nothing to say."""
    with st.container(key="curves_progress"):
        if curves.live is not None:
            job_panel.watch(curves.live, "curve", _waiting(curves.live))
        _problems(settings)


def _waiting(job: Job) -> str:
    is_band = isinstance(job.key, tuple) and job.key[0] == "band"
    return "Measuring random head sets, for comparison" if is_band else "Measuring the performance curves"


def _problems(settings: Settings) -> None:
    for job, name, start in (
        (background.curve_job(settings), "curve", background.start_curve),
        (background.band_job(settings), BAND_STAGE, background.start_band),
    ):
        if job is None or background.was_postponed(job):
            continue
        if job.snapshot().state in (JobState.FAILED, JobState.CANCELLED):
            job_panel.problem(job.snapshot(), name, lambda start=start: start(settings))
