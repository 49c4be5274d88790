"""Accelerated Path Patching from prompts to a verified circuit (METHOD section 2).

1. prepare: prompt pairs, clean and corrupted runs, baseline, head scores
2. keep mask: at the given sparsity, or the union chosen by the sparsity sweep; all heads if dense
3. self-check of the fast path against the reference, on a model not seen before; a model whose parts
   are not known has the reference alone
4. search: path patching inside the mask, from the logits back; with the grid, 16 searches at once
5. verification: the circuit's heads alone, on fresh prompts
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.ablation import Ablator
from engine.activations import capture
from engine.baseline import Baseline
from engine.circuit import Circuit
from engine.cost import CostRow, Ledger, pass_flops
from engine.grid import GRID, Grid, choose_of_grid
from engine.heads import Head, heads_of, mask_of
from engine.metrics import performance
from engine.models.model import Model
from engine.patching.effects import PathPatching
from engine.patching.reference import ReferencePatching
from engine.patching.screening import ScreenedPatching, Screening
from engine.prepare import HeadScores, Prepared, prepare, task_prompts
from engine.progress import Watcher
from engine.search import STAGE as SEARCH
from engine.search import SearchResult, SearchStep, Thresholds, search_all
from engine.self_check import SelfCheck, known_check, self_check
from engine.settings import Method, Mode, Settings
from engine.sparsity_sweep import Pruning, prune
from engine.tasks.prompts import Prompts
from engine.verification import Verification, verify

SELF_CHECK = "self-check"
VERIFICATION = "verification"


@dataclass(frozen=True, eq=False)
class Discovery:
    """Everything one run found.

    ``complete`` is False after a cancel: the circuit is what had been found, and not verified.
    ``pruning`` is None unless the sparsity was automatic, ``check`` where there was no fast path to check,
    ``screening`` unless effects were screened, ``grid`` unless it was asked for and finished; then
    ``steps`` and ``circuit`` are those of its chosen point.
    """

    settings: Settings
    prompts: Prompts
    baseline: Baseline
    scores: HeadScores
    keep: Tensor  # [layer head]
    pruning: Pruning | None
    check: SelfCheck | None
    steps: tuple[SearchStep, ...]
    circuit: Circuit
    verification: Verification | None
    screening: Screening | None
    grid: Grid | None
    cost: tuple[CostRow, ...]
    complete: bool


def discover(
    model: Model,
    settings: Settings,
    watcher: Watcher,
    prepared: Prepared | None = None,
    pruning: Pruning | None = None,
) -> Discovery:
    """Find and verify a circuit. ``prepared`` and ``pruning`` of the same settings save doing them again.

    Their cost is booked either way. Raises Cancelled if stopped before the search has begun.
    """
    prepared = prepared or prepare(model, settings, watcher)
    if settings.method is Method.APP and settings.sparsity is None:
        pruning = pruning or prune(prepared, watcher)
    else:
        pruning = None
    keep = keep_of(prepared, settings, pruning)
    ledger = Ledger(pass_flops(model, prepared.prompts))
    check = _check(prepared, ledger, watcher) if model.fast else None
    found, screening, grid = _search(prepared, settings, keep, ledger, watcher)
    verification = _verify(prepared, settings, found.circuit, ledger, watcher) if found.complete else None
    return Discovery(
        settings=settings,
        prompts=prepared.prompts,
        baseline=prepared.baseline,
        scores=prepared.scores,
        keep=keep,
        pruning=pruning,
        check=check,
        steps=found.steps,
        circuit=found.circuit,
        verification=verification,
        screening=screening,
        grid=grid,
        cost=(*prepared.cost, *(pruning.cost if pruning else ()), *ledger.rows()),
        complete=found.complete,
    )


def keep_of(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """Keep mask ``[layer head]`` the search is confined to."""
    if settings.method is Method.DENSE:
        return torch.ones_like(prepared.scores.flap, dtype=torch.bool)
    if settings.sparsity is not None:
        return prepared.scores.keep(settings.score, settings.sparsity)
    if pruning is None:
        raise ValueError("An automatic sparsity needs the sparsity sweep first")
    return pruning.choice.merge.mask


def _check(prepared: Prepared, ledger: Ledger, watcher: Watcher) -> SelfCheck:
    """Once for each model; what an earlier run found holds for this one."""
    known = known_check(prepared.model)
    if known is not None:
        return known
    watcher.step(SELF_CHECK, 0, 1)
    with ledger.stage(SELF_CHECK):
        check = self_check(prepared.model, prepared.activations)
        ledger.add(check.flops)
    return check


def _search(
    prepared: Prepared, settings: Settings, keep: Tensor, ledger: Ledger, watcher: Watcher
) -> tuple[SearchResult, Screening | None, Grid | None]:
    """The circuit; what was screened on the way; the grid it was chosen from."""
    model, activations = prepared.model, prepared.activations
    thresholds = GRID if settings.grid else (Thresholds(settings.threshold_scale, settings.min_effect),)
    with ledger.stage(SEARCH):
        patching = _patching(prepared, settings, keep, ledger)
        results = search_all(patching.measure, model.n_layers, model.n_heads, model.group, thresholds, watcher)
        screening = patching.screening if isinstance(patching, ScreenedPatching) else None
        if not (settings.grid and results[0].complete):
            return results[0], screening, None
        ablator = Ablator(model, activations, ledger)

        def evaluate(heads: tuple[Head, ...]) -> float:
            watcher.step(SEARCH, 1, 1)
            return performance(ablator.metric(mask_of(heads, model.n_layers, model.n_heads)), activations.clean)

        grid = choose_of_grid(results, evaluate, keep.numel())
    return results[grid.chosen], screening, grid


def _patching(
    prepared: Prepared, settings: Settings, keep: Tensor, ledger: Ledger
) -> PathPatching | ScreenedPatching | ReferencePatching:
    """How this run measures effects: a model whose parts are not known has one way only."""
    model, activations, senders = prepared.model, prepared.activations, heads_of(keep)
    if not model.fast:
        return ReferencePatching(model, activations, senders, ledger)
    exact = PathPatching(model, activations, senders, ledger, prepared.memory)
    return ScreenedPatching(exact) if settings.mode is Mode.SCREENED else exact


def _verify(
    prepared: Prepared, settings: Settings, circuit: Circuit, ledger: Ledger, watcher: Watcher
) -> Verification:
    """On prompts of another seed; a custom task has no others, so on its own."""
    model, activations, seed = prepared.model, prepared.activations, settings.seed
    watcher.report(VERIFICATION, 0, 1)
    with ledger.stage(VERIFICATION):
        if not prepared.custom:
            seed = settings.report_seed
            activations = capture(model, task_prompts(model, settings, seed), prepared.memory.rows)
            ledger.add(2 * pass_flops(model, activations.prompts))
        keep = mask_of(circuit.heads, circuit.n_layers, circuit.n_heads)
        result = verify(activations, Ablator(model, activations, ledger), keep, seed)
    watcher.report(VERIFICATION, 1, 1)
    return result
