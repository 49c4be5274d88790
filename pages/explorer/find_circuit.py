"""Step 3: the search. What it will cost, the search itself in the background, and what it found."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from torch import Tensor

from engine.cost.duration import duration
from engine.cost.estimate import Estimate, estimate_run
from engine.cost.pilot import is_worthwhile
from engine.discovery import Discovery
from engine.jobs.job import Job
from engine.jobs.snapshot import JobState, Snapshot
from engine.prepare import Prepared
from engine.pruning.candidates import keep_of, likely_keep
from engine.pruning.sparsity_sweep import Pruning
from engine.search.algorithms import serves
from engine.settings import Method, Settings
from pages.explorer import search_choices, tuning_view
from pages.shared import interrupted, look, search_jobs, search_run, stage_costs
from pages.shared.glossary import term
from pages.shared.view import View
from pages.shared.work import result_of

LEAD = (
    f"{term('path patching', 'Path patching')} walks back from the logits: which heads matter for the answer, which "
    f"heads feed their queries, keys and values, and so on. A head stays if its {term('effect')} stands out. Under "
    f"Advanced: effects {term('screened')} or all {term('exact')}, thresholds of your own or a {term('grid')}. In its "
    f"place: {term('ACDC')}, {term('EAP')} or {term('EAP-IG')}."
)
LAST_PILOT = "headlight_last_pilot"


def show(prepared: Prepared, view: View, settings: Settings, pruning: Pruning | None) -> Discovery | None:
    """Draw the step; the result to show below (search_run.result)."""
    look.step(3, "Find the circuit", LEAD)
    settings = replace(settings, mlps=settings.mlps and prepared.model.fast)
    job = search_jobs.search_job(settings)
    shot = job.snapshot() if job is not None else None
    live = shot is not None and shot.state.live
    keep = _candidates(prepared, settings, pruning)
    search_choices.show(prepared, view, pruning, live)
    tuning_view.show(prepared, view)
    if job is not None and live:
        search_run.watch(job, settings)
        return None
    if shot is None or shot.state is not JobState.DONE:
        _offer(prepared, settings, keep, pruning, shot)
    if shot is not None and shot.result is not None:
        search_run.tell(shot)
        stage_costs.show(shot.result.predicted, shot.result.cost)
    return search_run.result(settings, shot)


def _candidates(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor | None:
    """The nodes the search may use, or None while that is not known."""
    if settings.mlps and prepared.mlp_scores is None:
        return None
    if settings.method is Method.APP and settings.sparsity is None and pruning is None:
        return None
    if not prepared.scores.has(settings.score):
        return None
    return keep_of(prepared, settings, pruning)


def _offer(
    prepared: Prepared, settings: Settings, keep: Tensor | None, pruning: Pruning | None, shot: Snapshot | None
) -> None:
    """What it will take, and Start. ``shot``: an attempt that failed or was cancelled."""
    search_run.failed_or_cancelled(shot)
    if not serves(prepared.model, settings.algorithm):
        return  # the choices say why
    pilot = _look_ahead(prepared, settings, keep)
    estimate = estimate_run(prepared, likely_keep(prepared, settings, pruning), settings, result_of(pilot))
    if settings.mlps and prepared.mlp_scores is None:
        look.note("MLPs are scored when the search starts; the numbers here take all of them for candidates.")
    elif keep is None:
        waits = (
            "The automatic choice waits for the performance curves; started now, the search begins when they are there."
            if settings.sparsity is None
            else "The ringed heads are known once their score is; started now, the search measures it first."
        )
        look.note(f"{waits} The numbers here are for {estimate.senders} heads.")
    _estimate(estimate, "nodes" if settings.mlps else "heads")
    if shot is None or shot.result is None:  # else what was found says what it took
        stage_costs.show(estimate.likely, (*prepared.cost, *(pruning.cost if pruning else ())))
    if not prepared.baseline.capable:
        look.note("The model does not do this task, so what a search finds would explain guesses.")
    if shot is not None or not interrupted.offer(settings):
        search_run.start_button(settings, shot)


def _look_ahead(prepared: Prepared, settings: Settings, keep: Tensor | None) -> Job | None:
    """The look ahead behind a close estimate; None where there is none and the estimate stays rough."""
    if keep is None or not is_worthwhile(prepared, settings):
        return None
    before = st.session_state.get(LAST_PILOT)
    if before is not None and before != settings:
        search_jobs.leave_pilot(before)
    st.session_state[LAST_PILOT] = settings
    job = search_jobs.pilot_of(settings, keep)
    if job.live:
        _await(job)
    return job


@st.fragment(run_every=1.0, key="look_ahead")
def _await(job: Job) -> None:
    """A word while it runs; the page shows the close numbers once it is over."""
    if not job.live:
        st.rerun(scope="app")
    look.note("Rough numbers; a look ahead on three pairs is making them close.")


def _estimate(estimate: Estimate, candidates: str) -> None:
    search, most = estimate.search, estimate.most
    look.facts(
        [
            look.Fact(
                "Whole run, estimated", f"≈ {_seconds(estimate.seconds)}", "",
                "calibration, pruning and verification included, at this machine’s speed",
            ),
            look.Fact(
                "Search, estimated", f"≈ {_seconds(search.seconds)}", "",
                f"≈ {search.forward_passes:,.0f} forward passes over all pairs; at most {_seconds(most.seconds)}",
            ),
            look.Fact(
                "The plain way", f"≈ {estimate.reference_passes:,}", "passes",
                "hooked forward passes for the search, without shortcuts",
            ),
            look.Fact("Candidates", f"{estimate.senders}", candidates, "may send and receive"),
        ]
    )  # fmt: skip


def _seconds(seconds: float) -> str:
    """Never "about under 1 s"."""
    return duration(max(1.0, seconds))
