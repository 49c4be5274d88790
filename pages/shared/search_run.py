"""A search as every page sees it: while it runs, how it ended, and which one there is to show.

1. ``result`` is what a page shows: the run of the settings in the address, or else the last one of this session
   on the same prompts, with a word about that.
2. ``show`` is the whole of it for the rooms around the Explorer: progress and Cancel while it runs, an offer
   where nothing has run, the way on after a failure.
"""

from __future__ import annotations

import streamlit as st

from engine.circuit import Circuit
from engine.cost.duration import duration
from engine.discovery import Discovery
from engine.figures.graph import graph_figure
from engine.jobs.job import Job
from engine.jobs.snapshot import JobState, Snapshot
from engine.patching.screening import Screening
from engine.pruning.merge import union_words
from engine.serving.limits import limits
from engine.settings import ATTRIBUTING, Algorithm, Method, Settings
from pages.shared import (
    algorithm_words,
    background,
    interrupted,
    job_panel,
    look,
    privacy,
    rooms,
    score_views,
    search_jobs,
)  # fmt: skip
from pages.shared.chart import chart, is_dark
from pages.shared.work import result_of

LAST = "headlight_last_search"
GROWING_HEIGHT = 620  # pixels, whatever it holds: a chart of another height would be mounted anew


def show(settings: Settings) -> Discovery | None:
    """The run to show, or None: then what there is to do about that has been drawn."""
    job = search_jobs.search_job(settings)
    shot = job.snapshot() if job is not None else None
    if job is not None and shot is not None and shot.state.live:
        watch(job, settings)
        return None
    found = result(settings, shot)
    if found is not None:
        return found
    failed_or_cancelled(shot)
    if shot is None and interrupted.offer(settings):
        return None
    look.empty(
        "Nothing has been searched yet",
        f"A search {describe(settings)}, would fill this page. The Explorer says what it takes and lets you choose.",
    )
    with st.container(horizontal=True, horizontal_alignment="center"):
        start_button(settings, shot)
    return None


def result(settings: Settings, shot: Snapshot | None) -> Discovery | None:
    """What the search of these settings found (partly, after a cancel), else the last one of this session."""
    if shot is not None and shot.result is not None:
        st.session_state[LAST] = settings
        privacy.saw(settings)
        return shot.result
    return _last_of_session(settings)


def start_button(settings: Settings, shot: Snapshot | None) -> None:
    st.button(
        "Find the circuit" if shot is None else "Search again", key="start_search", type="primary",
        icon=":material/travel_explore:", on_click=lambda: _start(settings),
    )  # fmt: skip


def _start(settings: Settings) -> None:
    search_jobs.start_search(settings)


def watch(job: Job, settings: Settings) -> None:
    """Progress, Cancel and the graph as far as it has come."""
    job_panel.watch(job, "search", "Searching for the circuit", lambda now: _growing(settings, now))


def failed_or_cancelled(shot: Snapshot | None) -> None:
    """A word on an attempt that left nothing."""
    if shot is not None and shot.state is JobState.FAILED:
        st.error(look.plain(shot.error or "It did not work, for an unknown reason."), icon=":material/error:")
    elif shot is not None and shot.result is None:
        look.verdict("Cancelled.", "The search was stopped before it had found anything.", "wait")


def _growing(settings: Settings, shot: Snapshot) -> None:
    """The graph as far as the search has come."""
    if shot.circuit is None:
        look.empty("The graph grows here", "Heads and edges appear as soon as they are found.")
        return
    circuit = shot.circuit
    which = " with the pair of thresholds taken" if settings.grid else ""
    look.note(f"{size_words(circuit)} so far{which}; their places may still change.")
    figure = graph_figure(circuit, dark=is_dark())
    figure.update_layout(height=GROWING_HEIGHT)
    chart(
        figure, "growing", "Graph of the circuit as far as the search has come",
        identity=background.data_of(settings),
    )  # fmt: skip


def tell(shot: Snapshot) -> None:
    """How the search ended."""
    found: Discovery = shot.result
    size = size_words(found.circuit)
    if not found.complete and not found.circuit.nodes:
        look.verdict("Cancelled.", "The search was stopped before it had found a head. The scores above stay.", "wait")
    elif not found.complete:
        look.verdict(
            "Cancelled.",
            f"What had been found by then is kept: {size}, not verified. Heads below are a lower bound.",
            "wait",
        )
    elif not found.circuit.nodes:
        look.verdict(*algorithm_words.nothing_found(found.settings), "wait")
    else:
        look.verdict(
            f"{size}, found in {duration(shot.seconds)}.",
            f"{look.count(len(found.steps), 'receiver')} searched. {_how_sure(found)}",
        )
    kept_words(found.settings)


def kept_words(settings: Settings) -> None:
    """Where the run is kept, or why it is not."""
    kept = background.background().kept
    if (run_id := kept.id_of(settings)) is not None and not limits().keeps:
        rooms.link("runs", "One of the runs of this demonstration: see it in Runs", run=run_id)
    elif not limits().keeps:
        look.note("This demonstration keeps no runs: take it away from the page Circuit to have it later.")
    elif (reason := kept.why_not(settings)) is not None:
        st.warning(look.plain(f"This run is in memory alone, not kept on disk. {reason}"), icon=":material/save:")
    elif run_id is not None:
        rooms.link("runs", "Kept on this machine: see it in Runs", run=run_id)


def _how_sure(found: Discovery) -> str:
    """How the numbers were measured, in words."""
    if found.check is None:
        return "Every path ran through hooked forwards."
    words = f"The fast path agreed with the hooked reference to {found.check.largest:.0e} on {found.check.paths} paths."
    if found.settings.algorithm in ATTRIBUTING:
        return f"Every edge is scored to first order, none patched. {words}"
    if found.screening is None and found.settings.algorithm is Algorithm.ACDC:
        return f"Every edge was decided by running the model without it. {words}"
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


def size_words(circuit: Circuit) -> str:
    heads, edges = look.count(len(circuit.heads), "head"), look.count(len(circuit.edges), "edge")
    return f"{heads}, {look.count(len(circuit.mlps), 'MLP')} and {edges}" if circuit.mlps else f"{heads} and {edges}"


def _last_of_session(settings: Settings) -> Discovery | None:
    """A result of other search settings but the same prompts, rather than an empty page."""
    last: Settings | None = st.session_state.get(LAST)
    if last is None or background.data_of(last) != background.data_of(settings):
        return None
    job: Job | None = search_jobs.search_job(last)
    found = result_of(job)
    if found is not None:
        look.note(
            f"Below: the circuit found before, {describe(last)}. A search with the choices above has not been run."
        )
    return found


def describe(settings: Settings) -> str:
    """The search settings in words."""
    return f"{among_words(settings)}, {how_words(settings)}"


def among_words(settings: Settings) -> str:
    """Which heads may take part."""
    if settings.method is Method.DENSE:
        return "among all heads"
    if settings.sparsity is None:
        return f"inside your union {union_words(settings.union)}" if settings.union else "inside the automatic union"
    flap = f" (FLAP {settings.flap_sparsity:.2f})" if settings.flap_sparsity is not None else ""
    return f"inside the {score_views.TITLES[settings.score]} mask at sparsity {settings.sparsity:.2f}{flap}"


def how_words(settings: Settings) -> str:
    """How edges are chosen and measured."""
    return algorithm_words.how_words(settings)
