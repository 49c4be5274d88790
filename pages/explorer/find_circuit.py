"""Step 3: the search. What it will cost, the search itself in the background, and what it found."""

from __future__ import annotations

import streamlit as st
from torch import Tensor

from engine.circuit import Circuit
from engine.cliffs import FIXED_SPARSITY
from engine.duration import duration
from engine.estimate import Estimate, estimate_run
from engine.figures.graph import graph_figure
from engine.job import Job, JobState, Snapshot
from engine.pipeline import Discovery, keep_of
from engine.prepare import Prepared
from engine.search import STAGE as SEARCH
from engine.settings import Method, Score, Settings
from engine.sparsity_sweep import Pruning
from pages.shared import background, job_panel, look, state
from pages.shared.chart import chart, is_dark
from pages.shared.glossary import term
from pages.shared.view import AMONG, View

LEAD = (
    f"{term('path patching', 'Path patching')} walks back from the logits: which heads matter for the answer, which "
    f"heads feed their queries, keys and values, and so on. A head stays if its {term('effect')} stands out."
)
AMONG_HELP = (
    "Automatic: the union of a FLAP and a Contrastive-FLAP mask, chosen among nine. Ringed: what the slider keeps. "
    "All heads: dense path patching, the slow standard to compare with."
)
SCALE_HELP = (
    "A sender counts if |effect| exceeds the mean by this many standard deviations (plus 2/√n). The logits step always "
    "uses 2. Smaller finds more heads."
)
MIN_HELP = (
    "A receiver none of whose senders has a larger |effect| than this gets none. 0.01 is 1 % of clean − corrupted."
)
LAST = "headlight_last_search"
GROWING_HEIGHT = 620  # pixels, whatever it holds: a chart of another height would be mounted anew


def show(prepared: Prepared, view: View, settings: Settings, pruning: Pruning | None) -> Discovery | None:
    """Draw the step; the result to show below: of these settings, or else the last one of this session."""
    look.step(3, "Find the circuit", LEAD)
    job = background.search_job(settings)
    shot = job.snapshot() if job is not None else None
    live = shot is not None and shot.state.live
    keep = _candidates(prepared, settings, pruning)
    _choices(prepared, view, pruning, live)
    if job is not None and live:
        job_panel.watch(job, "search", "Searching for the circuit", lambda now: _growing(prepared, now))
        return None
    if shot is None or shot.state is not JobState.DONE:
        _offer(prepared, settings, keep, shot)
    if shot is not None and shot.result is not None:
        st.session_state[LAST] = settings
        _tell(shot)
        return shot.result
    return _last_of_session(settings)


def _choices(prepared: Prepared, view: View, pruning: Pruning | None, live: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("among", view.among)
        st.segmented_control(
            "Search among", AMONG, format_func=lambda name: _among_title(prepared, view, pruning, name), required=True,
            help=AMONG_HELP, disabled=live, wrap=True, **state.bound("among"),
        )  # fmt: skip
        with st.popover("Advanced", icon=":material/tune:", disabled=live):
            state.show("threshold_scale", view.threshold_scale)
            st.number_input(
                "Threshold scale s", 0.0, 10.0, step=0.5, help=SCALE_HELP, **state.bound("threshold_scale", read=float)
            )
            state.show("min_effect", view.min_effect)
            st.number_input(
                "Smallest effect", 0.0, 1.0, step=0.005, format="%.3f", help=MIN_HELP,
                **state.bound("min_effect", read=float),
            )  # fmt: skip


def _among_title(prepared: Prepared, view: View, pruning: Pruning | None, name: str) -> str:
    total = prepared.scores.flap.numel()
    if name == "all":
        return f"All {total} heads"
    if name == "ringed":
        kept = int(prepared.scores.keep(view.mask_score, view.sparsity).sum())
        return look.count(kept, "ringed head")
    return f"Automatic: {look.count(pruning.choice.merge.size, 'head')}" if pruning is not None else "Automatic"


def _candidates(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor | None:
    """The heads the search may use, or None while that is not known."""
    if settings.method is Method.APP and settings.sparsity is None and pruning is None:
        return None
    return keep_of(prepared, settings, pruning)


def _offer(prepared: Prepared, settings: Settings, keep: Tensor | None, shot: Snapshot | None) -> None:
    """What it will take, and Start. ``shot``: an attempt that failed or was cancelled."""
    if shot is not None and shot.state is JobState.FAILED:
        st.error(look.plain(shot.error or "It did not work, for an unknown reason."), icon=":material/error:")
    elif shot is not None and shot.result is None:
        look.verdict("Cancelled.", "The search was stopped before it had found anything.", "wait")
    if keep is None:
        rough = estimate_run(prepared, prepared.scores.keep(Score.MERGED, FIXED_SPARSITY), settings)
        look.note(
            "The automatic choice waits for the performance curves; started now, the search begins when they are "
            f"there. About {duration(rough.stage(SEARCH).seconds)} after that (estimate for {rough.senders} heads)."
        )
    else:
        _estimate(estimate_run(prepared, keep, settings))
    if not prepared.baseline.capable:
        look.note("The model does not do this task, so what a search finds would explain guesses.")
    st.button(
        "Find the circuit" if shot is None else "Search again", key="start_search", type="primary",
        icon=":material/travel_explore:", on_click=lambda: _start(settings),
    )  # fmt: skip


def _start(settings: Settings) -> None:
    background.start_search(settings)


def _estimate(estimate: Estimate) -> None:
    likely, most = estimate.stage(SEARCH), estimate.most
    speed = f"at most {duration(most.seconds)}, at this machine’s speed"
    look.facts(
        [
            look.Fact("Time, estimated", f"≈ {duration(likely.seconds)}", "", speed),
            look.Fact(
                "Work, estimated", f"≈ {likely.forward_passes:,.0f}", "passes", "in forward passes over all pairs"
            ),
            look.Fact(
                "The plain way", f"≈ {estimate.reference_passes:,}", "passes",
                "hooked forward passes, without shortcuts",
            ),
            look.Fact("Candidates", f"{estimate.senders}", "heads", "may send and receive"),
        ]
    )


def _growing(prepared: Prepared, shot: Snapshot) -> None:
    """The graph as far as the search has come."""
    if shot.circuit is None:
        look.empty("The graph grows here", "Heads and edges appear as soon as they are found.")
        return
    circuit = shot.circuit
    look.note(f"{_size(circuit)} so far; their places may still change.")
    figure = graph_figure(circuit, dark=is_dark())
    figure.update_layout(height=GROWING_HEIGHT)
    chart(
        figure, "growing", "Graph of the circuit as far as the search has come",
        identity=prepared.settings,
    )  # fmt: skip


def _tell(shot: Snapshot) -> None:
    """How the search ended."""
    found: Discovery = shot.result
    size = _size(found.circuit)
    if not found.complete:
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
    screening = found.screening
    return (
        f"Of {screening.estimated:,} estimated paths {screening.recomputed:,} were recomputed exactly, every edge "
        f"among them; the estimates were off by at most {screening.largest:.3f}. {words}"
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
            f"Below: the circuit found before, {describe(last)}. A search with the choices above has not been run."
        )
    return found


def describe(settings: Settings) -> str:
    """The search settings in words."""
    if settings.method is Method.DENSE:
        among = "among all heads"
    elif settings.sparsity is None:
        among = "inside the automatic union"
    else:
        among = f"inside the {settings.score.value.replace('_', ' ')} mask at sparsity {settings.sparsity:.2f}"
    return f"{among}, threshold scale {settings.threshold_scale:g}, smallest effect {settings.min_effect:g}"
