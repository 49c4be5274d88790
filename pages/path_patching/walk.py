"""Which search there is to step through: one that runs, one that is over, or none yet."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.jobs.job import Job
from engine.jobs.snapshot import Snapshot
from engine.prepare import Prepared
from engine.search.grid import thresholds_of
from engine.search.path_patching import SearchStep, Thresholds
from engine.search.trail import Station, circuit_until, trail_of
from engine.settings import Settings
from pages.shared import algorithm_words, job_panel, look, search_jobs, search_run


@dataclass(frozen=True, eq=False)
class Walk:
    """A search to step through.

    ``whole`` is the circuit its graphs are laid out for: the one found in the end or, while the search is
    ``live``, what there is so far. ``found`` is None until then, ``thresholds`` while the grid has not chosen and for
    another algorithm than path patching.
    """

    settings: Settings
    trail: tuple[Station, ...]
    whole: Circuit
    thresholds: Thresholds | None
    pairs: int
    live: bool
    found: Discovery | None

    def circuit_at(self, number: int) -> Circuit:
        return circuit_until(self.trail, number, self.whole.n_layers, self.whole.n_heads)


def show(settings: Settings, prepared: Prepared) -> Walk | None:
    """The search to step through, or None: then what there is to do about that has been drawn."""
    job = search_jobs.search_job(settings)
    shot = job.snapshot() if job is not None else None
    if job is not None and shot is not None and shot.state.live:
        _follow(job, len(shot.steps))
        return _running(settings, prepared, shot.steps)
    found = search_run.show(settings)
    if found is None:
        return None
    _how_it_ended(found)
    if not found.steps:
        look.empty("Nothing was measured", "The search was cancelled before its first step was over. Start it again.")
        with st.container(horizontal=True, horizontal_alignment="center"):
            search_run.start_button(settings, shot)
        return None
    trail = trail_of(found.steps)
    return Walk(found.settings, trail, found.circuit, found.thresholds, len(found.prompts), False, found)


def _follow(job: Job, drawn: int) -> None:
    """Progress and Cancel; the page is drawn again once there are more steps than ``drawn``."""

    def news(shot: Snapshot) -> None:
        if len(shot.steps) != drawn:
            st.rerun(scope="app")
        if not drawn:
            look.empty("The steps appear here", "The first one, who reaches the logits, is being measured.")

    job_panel.watch(job, "search", "Searching for the circuit", news)


def _running(settings: Settings, prepared: Prepared, steps: tuple[SearchStep, ...]) -> Walk | None:
    if not steps:
        return None
    shape, trail = prepared.scores.flap.shape, trail_of(steps)
    thresholds = None if settings.grid else next(iter(thresholds_of(settings)), None)
    whole = circuit_until(trail, len(trail), *shape)
    return Walk(settings, trail, whole, thresholds, len(prepared.prompts), True, None)


def _how_it_ended(found: Discovery) -> None:
    """A word where the steps are not the whole story."""
    if not found.complete:
        look.verdict(
            "Cancelled.",
            f"These are the {look.count(len(found.steps), 'step')} taken by then; receivers in lower layers were not "
            "searched.", "wait",
        )  # fmt: skip
    elif not found.circuit.heads:
        what, then = algorithm_words.nothing_found(found.settings)
        look.verdict(what, f"The search ended at the logits. {then}", "wait")
    if found.grid is not None:
        taken = found.grid.taken.thresholds
        look.note(
            f"A grid of 16 pairs of thresholds was searched. The steps are those with the pair taken, s "
            f"{taken.scale:g} and smallest effect {taken.min_effect:g}; what had been spent counts the whole grid."
        )
