"""Accelerated Path Patching from prompts to a verified circuit (METHOD section 2).

1. prepare: prompt pairs, clean and corrupted runs, baseline, head scores; by backward passes if the mask asks for it
2. keep mask: at the given sparsity, or the union chosen by the sparsity sweep or by name; all heads if dense; MLPs
   too where they are nodes (engine/pruning/candidates.py)
3. look ahead on three pairs: what the run will take
4. self-check of the fast path against the reference, on a model not seen before; a model whose parts
   are not known has the reference alone
5. self-tests: what must hold whatever is found; a failure is part of the result
6. search: path patching inside the mask, from the logits back; with the grid, 16 searches at once;
   or another algorithm in its place (engine/search/algorithms.py)
7. verification: the circuit's heads alone, on fresh prompts; where MLPs are nodes, other MLPs are ablated too
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache

import torch

from engine.ablation import Ablator
from engine.circuit import Circuit
from engine.cost.estimate import estimate_run
from engine.cost.ledger import CostRow, Ledger, pass_flops
from engine.cost.pilot import Pilot, is_worthwhile, look_ahead
from engine.discovery import Discovery
from engine.errors import Cancelled
from engine.executor.executor import Executor
from engine.executor.split import SplitMeasuring
from engine.fresh import verify_on_fresh
from engine.heads import heads_of
from engine.metrics import performance
from engine.models.model import Model
from engine.nodes import Node, node_mask, nodes_of
from engine.notes.ahead import AHEAD, Ahead, read_ahead
from engine.notes.journal import Journal
from engine.notes.noted_metrics import NotedMetrics
from engine.notes.noted_pruning import noted_pruning
from engine.notes.noted_search import NotedPatching
from engine.notes.notes import Notes, begun
from engine.patching.mlp_nodes import depths_of
from engine.patching.screening import Screening
from engine.prepare import Prepared, prepare, prepare_mlps
from engine.progress import Preliminary, Watcher
from engine.pruning.candidates import keep_of
from engine.pruning.sparsity_sweep import Pruning
from engine.scores.kinds import Source
from engine.scoring.attribution import cost_of, with_score
from engine.search.algorithms import check_algorithm, search_by
from engine.search.grid import GRID, Evaluate, Grid, grid_of, thresholds_of, with_exact
from engine.search.measuring import patching_of
from engine.search.path_patching import (
    GRID_STAGE,
    Measure,
    SearchResult,
    SearchStep,
    Thresholds,
    search_all,
    search_cost,
)
from engine.search.path_patching import STAGE as SEARCH
from engine.settings import Algorithm, Method, Settings
from engine.trust.self_check import STAGE as SELF_CHECK
from engine.trust.self_check import SelfCheck, known_check, read_self_check, self_check
from engine.trust.self_tests import STAGE as SELF_TESTS
from engine.trust.self_tests import SelfTests, self_tests
from engine.tuning.results import Tuning
from engine.verification import STAGE as VERIFICATION
from engine.verification import Verification


def discover(
    model: Model,
    settings: Settings,
    watcher: Watcher,
    prepared: Prepared | None = None,
    pruning: Pruning | None = None,
    pilot: Pilot | None = None,
    tuning: Tuning | None = None,
    journal: Journal | None = None,
    executor: Executor | None = None,
) -> Discovery:
    """Find and verify a circuit. ``prepared``, ``pruning`` and ``pilot`` of the same settings save doing them again.

    Their cost is booked either way, and that of the ``tuning`` that the settings were taken from. Stopped in any
    stage after the prompts have run, what was found by then comes back, marked not complete; stopped before that,
    raises Cancelled. What ``journal`` has of the same run is not done again: the result is the same to the last bit
    (engine/notes/notes.py). ``executor``: who measures the receivers of path patching (engine/executor/split.py); the
    numbers are the same. Raises HeadlightError for an algorithm that cannot search this model.
    """
    check_algorithm(model, settings.algorithm)
    prepared = prepared or prepare(model, settings, watcher)
    prepared = prepare_mlps(prepared, watcher) if settings.mlps else prepared
    if journal is not None:
        journal, prepared = begun(journal, prepared, settings)
    run = _Run(prepared, settings, watcher, tuning, journal, executor)
    try:
        run.spent_before(cost_of(run.prepared, settings))
        run.score()
        run.confine(pruning)
        run.predict(pilot)
        run.check_fast_path()
        run.test_itself()
        run.search()
        run.verify()
    except Cancelled:
        return run.discovery(complete=False)
    return run.discovery(complete=True)


def find_again(prepared: Prepared, settings: Settings, watcher: Watcher) -> tuple[Circuit, tuple[CostRow, ...]]:
    """The circuit ``discover`` finds, and what it took, without all that tells about it; raises Cancelled."""
    run = _Run(prepared, settings, watcher)
    run.score()
    run.confine(None)
    run.search()
    before = (*run.prepared.cost[len(prepared.cost) :], *(run.pruning.cost if run.pruning is not None else ()))
    return run.circuit, (*before, *run.ledger.rows())


class _Run:
    """What one run has found so far, stage by stage."""

    def __init__(
        self,
        prepared: Prepared,
        settings: Settings,
        watcher: Watcher,
        tuning: Tuning | None = None,
        journal: Journal | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.executor = executor
        self.prepared, self.settings, self.watcher, self.tuning = prepared, settings, watcher, tuning
        self.model, self.activations = prepared.model, prepared.activations
        self.ledger = Ledger(pass_flops(self.model, prepared.prompts), watcher.spend, watcher.now)
        self.journal = journal or Journal()
        self.notes = Notes(self.journal, self.ledger)
        columns = self.model.n_heads + settings.mlps
        self.keep = torch.zeros(self.model.n_layers, columns, dtype=torch.bool)
        self.pruning: Pruning | None = None
        self.fast_path: SelfCheck | None = None
        self.self_tests: SelfTests | None = None
        self.steps: tuple[SearchStep, ...] = ()
        self.circuit = Circuit((), (), self.model.n_layers, self.model.n_heads)
        self.screening: Screening | None = None
        self.grid: Grid | None = None
        self.verification: Verification | None = None
        self.pilot: Pilot | None = None
        self.predicted: tuple[CostRow, ...] = ()

    def spent_before(self, rows: Sequence[CostRow]) -> None:
        """Tell the watcher what is booked for this run without being done in it."""
        for row in rows:
            self.watcher.spend(row.flops)

    def score(self) -> None:
        """The score of the keep mask, where the first runs alone do not give it."""
        if self.settings.score_source is not Source.RUNS:
            self.prepared = with_score(self.prepared, self.settings.score, self.watcher, self.journal)

    def confine(self, pruning: Pruning | None) -> None:
        """The heads to search among; an automatic sparsity is swept for unless ``pruning`` is at hand."""
        if self.settings.method is Method.APP and self.settings.sparsity is None:
            self.spent_before(pruning.cost if pruning is not None else ())
            self.pruning = noted_pruning(self.prepared, pruning, self.watcher, self.journal)
        self.keep = keep_of(self.prepared, self.settings, self.pruning)

    def predict(self, pilot: Pilot | None) -> None:
        """What the run will take; it looks ahead for that, unless ``pilot`` is at hand, where that is cheap."""
        noted = self.notes.read(AHEAD, lambda note: read_ahead(note, self.model.n_layers, self.model.n_heads))
        pilot = pilot if noted is None else noted.pilot
        self.spent_before([pilot.cost] if pilot is not None else [])
        if noted is None:
            if pilot is None and is_worthwhile(self.prepared, self.settings):
                pilot = look_ahead(self.prepared, self.keep, self.settings, self.watcher)
            noted = Ahead(pilot, estimate_run(self.prepared, self.keep, self.settings, pilot).likely)
            self.notes.write(AHEAD, noted.as_json())
        self.pilot, self.predicted = noted.pilot, noted.predicted
        self.watcher.predicted(self.predicted)

    def check_fast_path(self) -> None:
        """Once for each model; what an earlier run found holds for this one."""
        if not self.model.fast:
            return
        self.fast_path = self.notes.read(SELF_CHECK, lambda note: read_self_check(note.values))
        if self.fast_path is None:
            self.fast_path = known_check(self.model, self.settings.mlps) or self._checked()
            self.notes.write(SELF_CHECK, asdict(self.fast_path))

    def _checked(self) -> SelfCheck:
        self.watcher.step(SELF_CHECK, 0, 1)
        with self.ledger.stage(SELF_CHECK):
            check = self_check(self.model, self.activations, self.watcher.check, self.settings.mlps)
            self.ledger.add(check.flops)
        return check

    def test_itself(self) -> None:
        """On every run: they ask the run's own activations."""
        self.watcher.step(SELF_TESTS, 0, 1)
        with self.ledger.stage(SELF_TESTS):
            self.self_tests = self_tests(self.model, self.activations, self.watcher.check)
            self.ledger.add(self.self_tests.flops)
        self.watcher.step(SELF_TESTS, 1, 1)

    def search(self) -> None:
        """The circuit; with the grid, that of the point taken."""
        if self.settings.algorithm is not Algorithm.PATH_PATCHING:
            among, memory = heads_of(self.keep), self.prepared.memory
            asked = (self.model, self.activations, among, self.settings, self.ledger, memory, self.watcher)
            self._take(*search_by(*asked, self.notes))
            return
        patching = patching_of(self.prepared, self.keep, self.settings, self.ledger)
        patching = NotedPatching(patching, self.notes, self._split())
        if self.settings.grid:
            self._search_grid(patching)
        else:
            [result] = self._walk(patching.walk("search"), thresholds_of(self.settings), self.watcher)
            self._take(result, patching.screening)

    def _split(self) -> SplitMeasuring | None:
        """An executor's part of the search, if there is one."""
        if self.executor is None:
            return None
        senders = nodes_of(self.keep, self.model.n_heads)
        return SplitMeasuring(self.executor, self.prepared, self.settings, senders, self.ledger)

    def _search_grid(self, patching: NotedPatching) -> None:
        """All points by estimates where there are any; then the one taken exactly, until it is."""
        measure = patching.walk("estimates", estimates=True)
        results = dict(zip(GRID, self._walk(measure, GRID, Preliminary(self.watcher, GRID_STAGE)), strict=True))
        self.watcher.check()  # stopped, a walk returns what it had
        total, evaluate = self.keep.numel(), self._performances()
        grid = grid_of(list(results.values()), evaluate, total, estimated=patching.screening is not None)
        while grid.taken.estimated:
            measure = patching.again().walk(f"exact {sum(not point.estimated for point in grid.points)}")
            [result] = self._walk(measure, [grid.taken.thresholds], self.watcher)
            self._take(result, patching.screening)
            results[grid.taken.thresholds] = result
            grid = with_exact(grid, result, evaluate, total)
        self.grid = grid
        self._take(results[grid.taken.thresholds], patching.screening)

    def verify(self) -> None:
        self.watcher.step(VERIFICATION, 0, 1)
        with self.ledger.stage(VERIFICATION):
            self.verification = verify_on_fresh(
                self.prepared, self.circuit.heads, self.settings.report_seed, self.ledger,
                self.circuit.mlps if self.settings.mlps else None,
            )  # fmt: skip
        self.watcher.report(VERIFICATION, 1, 1)

    def discovery(self, complete: bool) -> Discovery:
        pruning = self.pruning.cost if self.pruning is not None else ()
        pilot = (self.pilot.cost,) if self.pilot is not None else ()
        prepared = cost_of(self.prepared, self.settings)
        booked = [row.stage for row in prepared]  # a score that tuning measured is not booked again
        tuning = [row for row in self.tuning.cost if row.stage not in booked] if self.tuning is not None else []
        return Discovery(
            settings=self.settings,
            prompts=self.prepared.prompts,
            baseline=self.prepared.baseline,
            scores=self.prepared.scores,
            keep=self.keep,
            pruning=self.pruning,
            check=self.fast_path,
            self_tests=self.self_tests,
            steps=self.steps,
            circuit=self.circuit,
            verification=self.verification,
            screening=self.screening,
            grid=self.grid,
            predicted=self.predicted,
            cost=(*prepared, *tuning, *pruning, *pilot, *self.ledger.rows()),
            complete=complete,
            mlp_scores=self.prepared.mlp_scores if self.settings.mlps else None,
            tuning=self.tuning,
        )

    def _walk(self, measure: Measure, thresholds: Sequence[Thresholds], watcher: Watcher) -> list[SearchResult]:
        model = self.model
        return search_all(
            measure, model.n_layers, model.n_heads, model.group, thresholds, watcher,
            lambda: search_cost(self.ledger.rows()), depths_of(model.parts) if self.settings.mlps else None,
        )  # fmt: skip

    def _take(self, result: SearchResult, screening: Screening | None) -> None:
        self.steps, self.circuit, self.screening = result.steps, result.circuit, screening
        if not result.complete:
            raise Cancelled(SEARCH)

    def _performances(self) -> Evaluate:
        """Of a circuit on the prompts it was found on, in percent; measured once for each set of nodes."""
        metrics = NotedMetrics(Ablator(self.model, self.activations, self.ledger), self.notes, "grid")

        @cache
        def evaluate(nodes: tuple[Node, ...]) -> float:
            keep = node_mask(nodes, self.model.n_layers, self.model.n_heads)
            if not self.settings.mlps:
                keep = keep[:, :-1]
            with self.ledger.stage(GRID_STAGE):
                return performance(metrics.metric(keep), self.activations.clean)

        return evaluate
