"""Whole searches, dense against APP: the same task, prompts and loaded model, one after the other.

1. For each task: dense path patching, APP with the automatic keep mask, APP at a fixed sparsity of both
   scores' union. IOI has the last one also in exact mode and as the 16-point grid.
2. Before each run its cost is estimated, as the app does before its button is pressed; both are kept.
3. What the hooked way would take for the same search: the receivers and senders it has visited, in hooked
   forwards, at the seconds one takes here. Extrapolated: nobody waits for it.

The self-check of the fast path, once a model and process, is done before and belongs to no run. Seconds are
those of the ledger's stages: clean and corrupted runs and scores, pruning, search, verification.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.models import BUNDLED, QUICK_TASK, TOY, bundled, toy, warm
from benchmarks.reference import hooked_pass_seconds, passes_of_search
from engine.cost.ledger import CostRow
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.heads import Head
from engine.models.model import Model
from engine.pipeline import discover
from engine.prepare import Prepared, prepare
from engine.progress import Watcher
from engine.pruning.sparsity_sweep import prune
from engine.search.path_patching import search_cost
from engine.settings import Method, Mode, Score, Settings
from engine.trust.overlap import overlap
from engine.trust.self_check import self_check

PAIRS = 8
DENSE, AUTO, FIXED, EXACT, GRID = "dense", "APP, automatic", "APP at .8", "APP at .8, exact", "APP at .8, grid"
_FIXED = {"sparsity": 0.8, "score": Score.MERGED}
RUNS = {
    DENSE: {"method": Method.DENSE},
    AUTO: {},
    FIXED: _FIXED,
    EXACT: {**_FIXED, "mode": Mode.EXACT},
    GRID: {**_FIXED, "grid": True},
}
EVERY_TASK = (DENSE, AUTO, FIXED)
IOI = "ioi"
TASKS = (IOI, "pronouns", "induction", "greater-than", "docstring")  # the longest prompts last


@dataclass(frozen=True)
class Search:
    """One run of one task; lists hold one value a repeat. ``search_…`` leaves all other stages out."""

    task: str
    run: str
    kept: int  # heads searched
    heads: int
    edges: int
    precision: float | None  # against the dense circuit, None for itself
    recall: float | None
    performance: float
    faithfulness: float
    seconds: list[float]
    search_seconds: list[float]
    flops: float
    search_flops: float
    passes: float
    predicted_seconds: list[float]  # before the search
    predicted_search_seconds: list[float]
    predicted_flops: float
    predicted_search_flops: float
    estimated: int | None  # paths; None in exact mode
    recomputed: int | None
    largest: float | None  # |f_estimated - f_exact| among the recomputed
    reference_passes: int
    pass_seconds: list[float]  # one hooked forward of all pairs


@dataclass(frozen=True)
class ModesCompared:
    """Circuits of exact and screened mode: shared over all, of heads and of edges (sender, receiver, input)."""

    task: str
    heads: float
    edges: float


@dataclass(frozen=True)
class LeftOut:
    """A task this model does not do, and why."""

    task: str
    reason: str


@dataclass(frozen=True, eq=False)
class _Run:
    found: Discovery
    pass_seconds: float


def measure(repeats: int, quick: bool) -> Iterator[Search | ModesCompared | LeftOut]:
    model = toy() if quick else bundled()
    for number, task in enumerate((QUICK_TASK,) if quick else TASKS):
        settings = Settings(model=TOY if quick else BUNDLED, task=task, pairs=PAIRS)
        try:
            if number == 0:
                _check(model, settings)
            yield from _task(model, settings, tuple(RUNS) if quick or task == IOI else EVERY_TASK, repeats)
        except HeadlightError as error:
            yield LeftOut(task, str(error))


def _check(model: Model, settings: Settings) -> None:
    """Warm everything a run would otherwise be the first to touch."""
    prepared = prepare(model, settings, Watcher())
    warm(model, prepared.prompts)
    self_check(model, prepared.activations)


def _task(model: Model, settings: Settings, runs: tuple[str, ...], repeats: int) -> Iterator[Search | ModesCompared]:
    """One row a run, all runs in turn in each repeat; a row comes once its last repeat is done."""
    done: dict[str, list[_Run]] = {run: [] for run in runs}
    for repeat in range(repeats):
        prepared = prepare(model, settings, Watcher())
        pass_seconds = hooked_pass_seconds(model, prepared.activations)
        for run in runs:
            done[run].append(_run(prepared, replace(settings, **RUNS[run]), pass_seconds))
            if repeat == repeats - 1:
                yield _row(settings.task, run, done[run], done[DENSE][0].found)
    if EXACT in runs:
        yield _modes(settings.task, done[EXACT][0].found, done[FIXED][0].found)


def _run(prepared: Prepared, settings: Settings, pass_seconds: float) -> _Run:
    prepared = replace(prepared, settings=settings)
    automatic = settings.method is Method.APP and settings.sparsity is None
    pruning = prune(prepared, Watcher()) if automatic else None
    return _Run(discover(prepared.model, settings, Watcher(), prepared, pruning), pass_seconds)


def _row(task: str, run: str, runs: list[_Run], dense: Discovery) -> Search:
    found = runs[0].found
    assert found.verification is not None
    against = None if run == DENSE else overlap(found.circuit.heads, dense.circuit.heads)
    screening = found.screening
    return Search(
        task=task,
        run=run,
        kept=int(found.keep.sum()),
        heads=len(found.circuit.heads),
        edges=len(found.circuit.edges),
        precision=against.precision if against else None,
        recall=against.recall if against else None,
        performance=found.verification.performance,
        faithfulness=found.verification.faithfulness,
        seconds=[_seconds(one.found.cost) for one in runs],
        search_seconds=[_search(one.found.cost).seconds for one in runs],
        flops=_flops(found.cost),
        search_flops=_search(found.cost).flops,
        passes=sum(row.forward_passes for row in found.cost),
        predicted_seconds=[_seconds(one.found.predicted) for one in runs],
        predicted_search_seconds=[_search(one.found.predicted).seconds for one in runs],
        predicted_flops=_flops(found.predicted),
        predicted_search_flops=_search(found.predicted).flops,
        estimated=screening.estimated if screening else None,
        recomputed=screening.recomputed if screening else None,
        largest=screening.largest if screening else None,
        reference_passes=passes_of_search(found.steps),
        pass_seconds=[one.pass_seconds for one in runs],
    )


def _modes(task: str, exact: Discovery, screened: Discovery) -> ModesCompared:
    edges = [{(e.sender, e.receiver, e.input) for e in found.circuit.edges} for found in (exact, screened)]
    heads: list[set[Head]] = [set(found.circuit.heads) for found in (exact, screened)]
    return ModesCompared(task, jaccard(*heads), jaccard(*edges))


def jaccard(one: set, other: set) -> float:
    """Shared over all; 1 for two empty sets."""
    return len(one & other) / len(one | other) if one | other else 1.0


def _seconds(rows: tuple[CostRow, ...]) -> float:
    return sum(row.seconds for row in rows)


def _flops(rows: tuple[CostRow, ...]) -> float:
    return sum(row.flops for row in rows)


def _search(rows: tuple[CostRow, ...]) -> CostRow:
    return search_cost(rows)
