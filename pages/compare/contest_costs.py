"""What searches that have not been run will take, and how they are started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from engine.cost.estimate import estimate_run
from engine.prepare import CALIBRATION, Prepared
from engine.pruning.candidates import likely_keep
from engine.pruning.sparsity_sweep import STAGE as SPARSITY_SWEEP
from engine.search.algorithms import serves
from engine.settings import Method, Settings
from pages.compare.entries import Line
from pages.shared import background, search_jobs
from pages.shared.work import result_of

ESTIMATES = "headlight_contest_estimates"
DONE_BEFORE = (CALIBRATION, SPARSITY_SWEEP)  # once for all searches of the same prompts


@dataclass(frozen=True)
class Ahead:
    """What is left to do for one search: ``seconds`` without the sparsity sweep, which takes ``sweep`` if it is
    missing."""

    seconds: float
    passes: float
    sweep: float


def ahead(prepared: Prepared, settings: Settings) -> Ahead:
    """An estimate, kept: it is asked for at every look at the table."""
    pruning = result_of(background.curve_job(settings))
    kept: dict[tuple[Settings, bool], Ahead] = st.session_state.setdefault(ESTIMATES, {})
    key = (settings, pruning is not None)
    if key not in kept:
        rows = estimate_run(prepared, likely_keep(prepared, settings, pruning), settings).likely
        new = [row for row in rows if row.stage not in DONE_BEFORE]
        sweep = sum(row.seconds for row in rows if row.stage == SPARSITY_SWEEP and pruning is None)
        kept[key] = Ahead(sum(row.seconds for row in new), sum(row.forward_passes for row in new), sweep)
    return kept[key]


def startable(prepared: Prepared, lines: Sequence[Line]) -> list[Line]:
    """Those neither run nor under way that this model can be searched by, the quickest first."""
    able = [line for line in lines if not line.done and not line.live and line.found is None]
    able = [line for line in able if serves(prepared.model, line.entry.settings.algorithm)]
    return sorted(able, key=lambda line: ahead(prepared, line.entry.settings).seconds)


def seconds_of(prepared: Prepared, lines: Sequence[Line]) -> float:
    """Of all of them, one after another; the sparsity sweep once."""
    each = [ahead(prepared, line.entry.settings) for line in lines]
    return sum(one.seconds for one in each) + max((one.sweep for one in each), default=0.0)


def start(searches: Sequence[Settings]) -> None:
    """Queue them in this order; the sparsity sweep first, or each of them would do it for itself."""
    sweeping = [one for one in searches if one.method is Method.APP and one.sparsity is None]
    if sweeping and background.curve_job(sweeping[0]) is None:
        background.start_curve(sweeping[0])
    for settings in searches:
        search_jobs.start_search(settings)
