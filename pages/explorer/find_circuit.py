"""Step 3: the search. What it will cost, the search itself in the background, and what it found."""

from __future__ import annotations

import streamlit as st
from torch import Tensor

from engine.circuit import Circuit
from engine.duration import duration
from engine.estimate import Estimate, estimate_run
from engine.figures.graph import graph_figure
from engine.job import Job, JobState, Snapshot
from engine.patching.screening import Screening
from engine.pilot import is_worthwhile
from engine.pipeline import Discovery, keep_of, likely_keep
from engine.prepare import Prepared
from engine.settings import Method, Settings
from engine.sparsity_sweep import Pruning
from pages.explorer import search_choices, stage_costs
from pages.shared import background, job_panel, look
from pages.shared.chart import chart, is_dark
from pages.shared.glossary import term
from pages.shared.view import View

LEAD = (
    f"{term('path patching', 'Path patching')} walks back from the logits: which heads matter for the answer, which "
    f"heads feed their queries, keys and values, and so on. A head stays if its {term('effect')} stands out. Under "
    f"Advanced: effects {term('screened')} or all {term('exact')}, thresholds of your own or a {term('grid')}."
)
LAST = "headlight_last_search"
LAST_PILOT = "headlight_last_pilot"
GROWING_HEIGHT = 620  # pixels, whatever it holds: a chart of another height would be mounted anew


def show(prepared: Prepared, view: View, settings: Settings, pruning: Pruning | None) -> Discovery | None:
    """Draw the step; the result to show below: of these settings, or else the last one of this session."""
    look.step(3, "Find the circuit", LEAD)
    job = background.search_job(settings)
    shot = job.snapshot() if job is not None else None
    live = shot is not None and shot.state.live
    keep = _candidates(prepared, settings, pruning)
    search_choices.show(prepared, view, pruning, live)
    if job is not None and live:
        job_panel.watch(job, "search", "Searching for the circuit", lambda now: _growing(settings, now))
        return None
    if shot is None or shot.state is not JobState.DONE:
        _offer(prepared, settings, keep, pruning, shot)
    if shot is not None and shot.result is not None:
        st.session_state[LAST] = settings
        _tell(shot)
        stage_costs.show(shot.result.predicted, shot.result.cost)
        return shot.result
    return _last_of_session(settings)


def _candidates(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor | None:
    """The heads the search may use, or None while that is not known."""
    if settings.method is Method.APP and settings.sparsity is None and pruning is None:
        return None
    return keep_of(prepared, settings, pruning)


def _offer(
    prepared: Prepared, settings: Settings, keep: Tensor | None, pruning: Pruning | None, shot: Snapshot | None
) -> None:
    """What it will take, and Start. ``shot``: an attempt that failed or was cancelled."""
    if shot is not None and shot.state is JobState.FAILED:
        st.error(look.plain(shot.error or "It did not work, for an unknown reason."), icon=":material/error:")
    elif shot is not None and shot.result is None:
        look.verdict("Cancelled.", "The search was stopped before it had found anything.", "wait")
    pilot = _look_ahead(prepared, settings, keep)
    estimate = estimate_run(prepared, likely_keep(prepared, settings, pruning), settings, background.result_of(pilot))
    if keep is None:
        look.note(
            "The automatic choice waits for the performance curves; started now, the search begins when they are "
            f"there. The numbers here are for {estimate.senders} heads."
        )
    _estimate(estimate)
    if shot is None or shot.result is None:  # else what was found says what it took
        stage_costs.show(estimate.likely, (*prepared.cost, *(pruning.cost if pruning else ())))
    if not prepared.baseline.capable:
        look.note("The model does not do this task, so what a search finds would explain guesses.")
    st.button(
        "Find the circuit" if shot is None else "Search again", key="start_search", type="primary",
        icon=":material/travel_explore:", on_click=lambda: _start(settings),
    )  # fmt: skip


def _start(settings: Settings) -> None:
    background.start_search(settings)


def _look_ahead(prepared: Prepared, settings: Settings, keep: Tensor | None) -> Job | None:
    """The look ahead behind a close estimate; None where there is none and the estimate stays rough."""
    if keep is None or not is_worthwhile(prepared):
        return None
    before = st.session_state.get(LAST_PILOT)
    if before is not None and before != settings:
        background.leave_pilot(before)
    st.session_state[LAST_PILOT] = settings
    job = background.pilot_of(settings, keep)
    if job.live:
        _await(job)
    return job


@st.fragment(run_every=1.0, key="look_ahead")
def _await(job: Job) -> None:
    """A word while it runs; the page shows the close numbers once it is over."""
    if not job.live:
        st.rerun(scope="app")
    look.note("Rough numbers; a look ahead on three pairs is making them close.")


def _estimate(estimate: Estimate) -> None:
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
            look.Fact("Candidates", f"{estimate.senders}", "heads", "may send and receive"),
        ]
    )  # fmt: skip


def _seconds(seconds: float) -> str:
    """Never "about under 1 s"."""
    return duration(max(1.0, seconds))


def _growing(settings: Settings, shot: Snapshot) -> None:
    """The graph as far as the search has come."""
    if shot.circuit is None:
        look.empty("The graph grows here", "Heads and edges appear as soon as they are found.")
        return
    circuit = shot.circuit
    which = " with the pair of thresholds taken" if settings.grid else ""
    look.note(f"{_size(circuit)} so far{which}; their places may still change.")
    figure = graph_figure(circuit, dark=is_dark())
    figure.update_layout(height=GROWING_HEIGHT)
    chart(
        figure, "growing", "Graph of the circuit as far as the search has come",
        identity=background.data_of(settings),
    )  # fmt: skip


def _tell(shot: Snapshot) -> None:
    """How the search ended."""
    found: Discovery = shot.result
    size = _size(found.circuit)
    if not found.complete and not found.circuit.heads:
        look.verdict("Cancelled.", "The search was stopped before it had found a head. The scores above stay.", "wait")
    elif not found.complete:
        look.verdict(
            "Cancelled.",
            f"What had been found by then is kept: {size}, not verified. Heads below are a lower bound.",
            "wait",
        )
    elif not found.circuit.heads:
        look.verdict(
            "No head stands out.",
            "No sender’s effect on the logits is above the threshold. Lower the threshold scale or the smallest effect "
            "under Advanced, or search among more heads.", "wait",
        )  # fmt: skip
    else:
        look.verdict(
            f"{size}, found in {duration(shot.seconds)}.",
            f"{look.count(len(found.steps), 'receiver')} searched. {_how_sure(found)}",
        )


def _how_sure(found: Discovery) -> str:
    """How the numbers were measured, in words."""
    if found.check is None:
        return "Every path ran through hooked forwards."
    words = (
        f"The fast path agreed with the hooked reference to {found.check.largest:.0e} on {found.check.paths} paths."
    )
    if found.screening is None:
        return f"Every path was patched exactly. {words}"
    return f"{screened_words(found.screening)} {words}"


def screened_words(screening: Screening) -> str:
    """How much was recomputed, and how far the estimates were off."""
    paths = look.count(screening.estimated, "estimated path")
    if not screening.recomputed:
        return f"Of {paths} none came near its threshold; every edge is exact."
    return (
        f"Recomputed exactly: {screening.recomputed:,} of {paths}, every edge among them; the estimates were off by at "
        f"most {screening.largest:.3f} of clean − corrupted."
    )


def _size(circuit: Circuit) -> str:
    return f"{look.count(len(circuit.heads), 'head')} and {look.count(len(circuit.edges), 'edge')}"


def _last_of_session(settings: Settings) -> Discovery | None:
    """A result of other search settings but the same prompts, rather than an empty page."""
    last: Settings | None = st.session_state.get(LAST)
    if last is None or background.data_of(last) != background.data_of(settings):
        return None
    job: Job | None = background.search_job(last)
    found = background.result_of(job)
    if found is not None:
        look.note(
            f"Below: the circuit found before, {search_choices.describe(last)}. A search with the choices above has "
            "not been run."
        )
    return found
