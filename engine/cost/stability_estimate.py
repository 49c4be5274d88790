"""What finding a circuit again will take, before it runs: as many searches as there are draws."""

from __future__ import annotations

from collections.abc import Iterable

from engine.cost.estimate import estimate_run
from engine.cost.ledger import CostRow
from engine.cost.pilot import STAGE as LOOK_AHEAD
from engine.discovery import Discovery
from engine.prepare import Prepared
from engine.pruning.candidates import likely_keep
from engine.settings import Settings
from engine.trust.draws import Plan, draws_of
from engine.trust.self_check import STAGE as SELF_CHECK
from engine.trust.self_tests import STAGE as SELF_TESTS

ONCE = (LOOK_AHEAD, SELF_CHECK, SELF_TESTS)  # stages that a run is spared when it is found again


def stability_seconds(prepared: Prepared, settings: Settings, plan: Plan, found: Discovery | None) -> tuple[int, float]:
    """How many runs ``plan`` makes, and the seconds of all: by what ``found`` took, else by the estimate of one run.

    Raises HeadlightError if there is nothing to run.
    """
    draws, _ = draws_of(prepared, settings, plan)
    if found is not None and found.complete:
        once = seconds_again(found.cost)
    else:
        once = seconds_again(estimate_run(prepared, likely_keep(prepared, settings, None), settings).likely)
    return len(draws), len(draws) * once


def seconds_again(rows: Iterable[CostRow]) -> float:
    """Of a run's stages, those that each time takes."""
    return sum(row.seconds for row in rows if row.stage not in ONCE)
