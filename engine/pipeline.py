"""Accelerated Path Patching from prompts to a verified circuit (METHOD section 2).

1. prepare: prompt pairs, clean and corrupted runs, baseline, head scores
2. keep mask: at the given sparsity, or the union chosen by the sparsity sweep or by name; all heads if dense.
   Where MLPs are nodes, they are kept by their own scores at the same sparsities (engine/mlp_scores.py)
3. look ahead on three pairs: what the run will take
4. self-check of the fast path against the reference, on a model not seen before; a model whose parts
   are not known has the reference alone
5. search: path patching inside the mask, from the logits back; with the grid, 16 searches at once
6. verification: the circuit's heads alone, on fresh prompts; where MLPs are nodes, other MLPs are ablated too
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from engine.ablation import Ablator
from engine.activations import capture
from engine.baseline import Baseline
from engine.circuit import Circuit
from engine.cliffs import FIXED_SPARSITY
from engine.cost import CostRow, Ledger, pass_flops
from engine.errors import Cancelled
from engine.estimate import estimate_run
from engine.grid import GRID, Evaluate, Grid, grid_of, thresholds_of, with_exact
from engine.heads import Head, mask_of
from engine.metrics import performance
from engine.mlp_scores import MlpScores
from engine.models.model import Model
from engine.nodes import Mlp, Node, heads_among, node_mask, nodes_of, with_mlps
from engine.patching.effects import PathPatching
from engine.patching.mlp_nodes import NodePatching, ScreenedNodes, depths_of
from engine.patching.reference import ReferencePatching
from engine.patching.screening import ScreenedPatching, Screening
from engine.pilot import Pilot, is_worthwhile, look_ahead
from engine.prepare import HeadScores, Prepared, prepare, prepare_mlps, task_prompts
from engine.progress import Preliminary, Watcher
from engine.search import GRID_STAGE, Measure, SearchResult, SearchStep, Thresholds, search_all, search_cost
from engine.search import STAGE as SEARCH
from engine.self_check import STAGE as SELF_CHECK
from engine.self_check import SelfCheck, known_check, self_check
from engine.settings import Method, Mode, Score, Settings
from engine.sparsity_sweep import Pruning, prune
from engine.tasks.prompts import Prompts
from engine.verification import STAGE as VERIFICATION
from engine.verification import Verification, verify

Patching = PathPatching | ScreenedPatching | ReferencePatching


@dataclass(frozen=True, eq=False)
class Discovery:
    """Everything one run found.

    ``complete`` is False after a cancel: the circuit is what had been found by then, and not verified.
    ``pruning`` is None unless the sparsity was automatic, ``check`` where there was no fast path to check,
    ``screening`` unless effects were screened, ``grid`` unless it was asked for and finished; then
    ``steps`` and ``circuit`` are those of its chosen point. ``predicted`` was computed before the search.
    """

    settings: Settings
    prompts: Prompts
    baseline: Baseline
    scores: HeadScores
    keep: Tensor  # [layer head], with a last column for MLPs where they are nodes
    pruning: Pruning | None
    check: SelfCheck | None
    steps: tuple[SearchStep, ...]
    circuit: Circuit
    verification: Verification | None
    screening: Screening | None
    grid: Grid | None
    predicted: tuple[CostRow, ...]
    cost: tuple[CostRow, ...]
    complete: bool
    mlp_scores: MlpScores | None = None  # where MLPs are nodes

    @property
    def thresholds(self) -> Thresholds | None:
        """Those the circuit was found with; None if a grid was cancelled before a pair was taken."""
        if not self.settings.grid:
            return thresholds_of(self.settings)[0]
        return None if self.grid is None else self.grid.taken.thresholds


def discover(
    model: Model,
    settings: Settings,
    watcher: Watcher,
    prepared: Prepared | None = None,
    pruning: Pruning | None = None,
    pilot: Pilot | None = None,
) -> Discovery:
    """Find and verify a circuit. ``prepared``, ``pruning`` and ``pilot`` of the same settings save doing them again.

    Their cost is booked either way. Stopped in any stage after the prompts have run, what was found by
    then comes back, marked not complete; stopped before that, raises Cancelled.
    """
    prepared = prepared or prepare(model, settings, watcher)
    run = _Run(prepare_mlps(prepared, watcher) if settings.mlps else prepared, settings, watcher)
    try:
        run.spent_before(run.prepared.cost)
        run.confine(pruning)
        run.predict(pilot)
        run.check_fast_path()
        run.search()
        run.verify()
    except Cancelled:
        return run.discovery(complete=False)
    return run.discovery(complete=True)


def keep_of(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """Keep mask ``[layer head]`` the search is confined to; ``[layer column]`` where MLPs are nodes."""
    keep = _heads_kept(prepared, settings, pruning)
    return with_mlps(keep, _mlps_kept(prepared, settings, pruning)) if settings.mlps else keep


def _heads_kept(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """``[layer head]``"""
    if settings.method is Method.DENSE:
        return torch.ones_like(prepared.scores.flap, dtype=torch.bool)
    if settings.sparsity is not None:
        return prepared.scores.keep(settings.score, settings.sparsity)
    if pruning is None:
        raise ValueError("An automatic sparsity needs the sparsity sweep first")
    return pruning.taken(settings.union).mask


def _mlps_kept(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """``[layer]``: by their own scores, at the sparsities that heads are kept at."""
    if prepared.mlp_scores is None:
        raise ValueError("Expected a run prepared with MLPs as nodes")
    if settings.method is Method.DENSE:
        return torch.ones(prepared.model.n_layers, dtype=torch.bool)
    if settings.sparsity is not None:
        return prepared.mlp_scores.keep(settings.score, settings.sparsity)
    if pruning is None:
        raise ValueError("An automatic sparsity needs the sparsity sweep first")
    union = pruning.taken(settings.union)
    return prepared.mlp_scores.keep_either(union.flap_cliff.sparsity, union.contrastive_cliff.sparsity)


def likely_keep(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """``keep_of``; or, before the automatic choice is known, the union of both masks at the fixed sparsity.

    Before MLPs are scored, all of them are likely.
    """
    if settings.mlps and prepared.mlp_scores is None:
        heads = likely_keep(prepared, replace(settings, mlps=False), pruning)
        return with_mlps(heads, heads.new_ones(len(heads)))
    if settings.method is Method.APP and settings.sparsity is None and pruning is None:
        fixed = replace(settings, score=Score.MERGED, sparsity=FIXED_SPARSITY, union=None)
        return keep_of(prepared, fixed, None)
    return keep_of(prepared, settings, pruning)


def verify_on_fresh(
    prepared: Prepared, heads: Iterable[Head], seed: int, ledger: Ledger, mlps: Iterable[Mlp] | None = None
) -> Verification:
    """The heads alone, on prompts of another ``seed``; a custom task has no others, so on its own.

    ``mlps``: those that stay live; all of them if None. On its own prompts ``prepared`` must then hold theirs.
    """
    model, activations = prepared.model, prepared.activations
    if prepared.custom:
        seed = prepared.settings.seed
    else:
        prompts = task_prompts(model, prepared.settings, seed)
        activations = capture(model, prompts, prepared.memory.rows, mlps is not None)
        ledger.add(2 * pass_flops(model, prompts))
    if mlps is not None:
        keep = node_mask((*heads, *mlps), model.n_layers, model.n_heads)
    else:
        keep = mask_of(heads, model.n_layers, model.n_heads)
    return verify(activations, Ablator(model, activations, ledger), keep, seed)


class _Run:
    """What one run has found so far, stage by stage."""

    def __init__(self, prepared: Prepared, settings: Settings, watcher: Watcher) -> None:
        self.prepared, self.settings, self.watcher = prepared, settings, watcher
        self.model, self.activations = prepared.model, prepared.activations
        self.ledger = Ledger(pass_flops(self.model, prepared.prompts), watcher.spend, watcher.now)
        columns = self.model.n_heads + settings.mlps
        self.keep = torch.zeros(self.model.n_layers, columns, dtype=torch.bool)
        self.pruning: Pruning | None = None
        self.fast_path: SelfCheck | None = None
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

    def confine(self, pruning: Pruning | None) -> None:
        """The heads to search among; an automatic sparsity is swept for unless ``pruning`` is at hand."""
        if self.settings.method is Method.APP and self.settings.sparsity is None:
            self.spent_before(pruning.cost if pruning is not None else ())
            self.pruning = pruning or prune(self.prepared, self.watcher)
        self.keep = keep_of(self.prepared, self.settings, self.pruning)

    def predict(self, pilot: Pilot | None) -> None:
        """What the run will take; it looks ahead for that, unless ``pilot`` is at hand, where that is cheap."""
        self.spent_before([pilot.cost] if pilot is not None else [])
        if pilot is None and is_worthwhile(self.prepared):
            pilot = look_ahead(self.prepared, self.keep, self.settings, self.watcher)
        self.pilot = pilot
        self.predicted = estimate_run(self.prepared, self.keep, self.settings, pilot).likely
        self.watcher.predicted(self.predicted)

    def check_fast_path(self) -> None:
        """Once for each model; what an earlier run found holds for this one."""
        if not self.model.fast:
            return
        self.fast_path = known_check(self.model, self.settings.mlps)
        if self.fast_path is None:
            self.watcher.step(SELF_CHECK, 0, 1)
            with self.ledger.stage(SELF_CHECK):
                self.fast_path = self_check(
                    self.model, self.activations, self.watcher.check, self.settings.mlps
                )
                self.ledger.add(self.fast_path.flops)

    def search(self) -> None:
        """The circuit; with the grid, that of the point taken."""
        patching = self._patching()
        if self.settings.grid:
            self._search_grid(patching)
        else:
            [result] = self._walk(patching.measure, thresholds_of(self.settings), self.watcher)
            self._take(result, patching)

    def _search_grid(self, patching: Patching) -> None:
        """All points by estimates where there are any; then the one taken exactly, until it is."""
        screened = isinstance(patching, ScreenedPatching)
        measure = patching.estimates if screened else patching.measure
        results = dict(zip(GRID, self._walk(measure, GRID, Preliminary(self.watcher, GRID_STAGE)), strict=True))
        self.watcher.check()  # stopped, a walk returns what it had
        total, evaluate = self.keep.numel(), self._performances()
        grid = grid_of(list(results.values()), evaluate, total, estimated=screened)
        while grid.taken.estimated:
            patching = patching.again() if isinstance(patching, ScreenedPatching) else patching
            [result] = self._walk(patching.measure, [grid.taken.thresholds], self.watcher)
            self._take(result, patching)
            results[grid.taken.thresholds] = result
            grid = with_exact(grid, result, evaluate, total)
        self.grid = grid
        self._take(results[grid.taken.thresholds], patching)

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
        return Discovery(
            settings=self.settings,
            prompts=self.prepared.prompts,
            baseline=self.prepared.baseline,
            scores=self.prepared.scores,
            keep=self.keep,
            pruning=self.pruning,
            check=self.fast_path,
            steps=self.steps,
            circuit=self.circuit,
            verification=self.verification,
            screening=self.screening,
            grid=self.grid,
            predicted=self.predicted,
            cost=(*self.prepared.cost, *pruning, *pilot, *self.ledger.rows()),
            complete=complete,
            mlp_scores=self.prepared.mlp_scores if self.settings.mlps else None,
        )

    def _walk(self, measure: Measure, thresholds: Sequence[Thresholds], watcher: Watcher) -> list[SearchResult]:
        model = self.model
        return search_all(
            measure, model.n_layers, model.n_heads, model.group, thresholds, watcher,
            lambda: search_cost(self.ledger.rows()), depths_of(model.parts) if self.settings.mlps else None,
        )  # fmt: skip

    def _take(self, result: SearchResult, patching: Patching) -> None:
        self.steps, self.circuit = result.steps, result.circuit
        self.screening = patching.screening if isinstance(patching, ScreenedPatching) else None
        if not result.complete:
            raise Cancelled(SEARCH)

    def _performances(self) -> Evaluate:
        """Of a circuit on the prompts it was found on, in percent; measured once for each set of nodes."""
        ablator = Ablator(self.model, self.activations, self.ledger)

        @cache
        def evaluate(nodes: tuple[Node, ...]) -> float:
            keep = node_mask(nodes, self.model.n_layers, self.model.n_heads)
            if not self.settings.mlps:
                keep = keep[:, :-1]
            with self.ledger.stage(GRID_STAGE):
                return performance(ablator.metric(keep), self.activations.clean)

        return evaluate

    def _patching(self) -> Patching:
        """How this run measures effects: a model whose parts are not known has one way only."""
        senders = nodes_of(self.keep, self.model.n_heads)
        if self.settings.mlps:
            nodes = NodePatching(self.model, self.activations, senders, self.ledger, self.prepared.memory)
            return ScreenedNodes(nodes) if self.settings.mode is Mode.SCREENED else nodes
        if not self.model.fast:
            return ReferencePatching(self.model, self.activations, heads_among(senders), self.ledger)
        exact = PathPatching(self.model, self.activations, senders, self.ledger, self.prepared.memory)
        return ScreenedPatching(exact) if self.settings.mode is Mode.SCREENED else exact
