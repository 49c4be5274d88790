"""The first stages of every run: prompts, baseline, activations and head scores. Seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.activations import Activations, capture, check_mlps, pair_probabilities, run
from engine.baseline import Baseline, measure_baseline
from engine.cost.ledger import CostRow, Ledger, pass_flops, together
from engine.cost.speed import flops_per_second
from engine.hooked import end_logits
from engine.machine.memory import MemoryPlan, plan_memory
from engine.models.model import Model
from engine.progress import Watcher
from engine.scores import contrastive_flap_scores, flap_scores, output_difference_scores
from engine.scores.head_scores import HeadScores
from engine.scores.kinds import Score, Source
from engine.scoring.mlp_scores import MlpScores, score_mlps
from engine.settings import Settings
from engine.tasks.build import build_prompts
from engine.tasks.own import find_own, is_own, own_prompts
from engine.tasks.prompts import Prompts

CALIBRATION = Source.RUNS.value


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model with one prompt set run through it; ``custom`` prompts are all there are of their task.

    ``mlp_scores`` is None unless MLPs are nodes; then ``activations`` hold what MLPs write.
    """

    model: Model
    settings: Settings
    prompts: Prompts
    activations: Activations
    baseline: Baseline
    scores: HeadScores
    custom: bool
    memory: MemoryPlan
    flops_per_second: float  # this machine's matmul rate on the model's own shapes
    cost: tuple[CostRow, ...]
    probabilities: Tensor  # [pair run 2] of answers and distractors after the clean and the corrupted prompt
    mlp_scores: MlpScores | None = None


def prepare(
    model: Model,
    settings: Settings,
    watcher: Watcher,
    prompts: Prompts | None = None,
    admit: Callable[[Prompts], None] = lambda prompts: None,
    memory: MemoryPlan | None = None,
) -> Prepared:
    """Build the task's prompts (or take ``prompts``, a custom task), run them, score every head.

    ``admit`` sees the prompts before they run, and raises HeadlightError if they may not. ``memory``: how the work is
    cut; planned for what is free here if None.
    """
    custom = prompts is not None or is_own(settings.task)
    if prompts is None:
        prompts = task_prompts(model, settings, settings.seed)
    if custom:
        settings = replace(settings, pairs=len(prompts))
    admit(prompts)
    watcher.step(CALIBRATION, 0, 2)
    memory = memory or plan_memory(model, prompts, settings.memory_budget, mlps=settings.mlps)
    warm_up(model, prompts)
    ledger = Ledger(pass_flops(model, prompts), now=watcher.now)
    with ledger.stage(CALIBRATION):
        activations = capture(model, prompts, memory.rows, settings.mlps)
        ledger.add(2 * ledger.flops_per_pass)
        watcher.step(CALIBRATION, 1, 2)
        scores = score_heads(model, activations)
        mlp_scores = score_mlps(model, activations, ledger) if settings.mlps else None
    watcher.step(CALIBRATION, 2, 2)
    return Prepared(
        model=model,
        settings=settings,
        prompts=prompts,
        activations=activations,
        baseline=measure_baseline(activations),
        scores=scores,
        custom=custom,
        memory=memory,
        flops_per_second=_rate(model, memory, ledger.rows()[0]),
        cost=ledger.rows(),
        probabilities=pair_probabilities(model, activations),
        mlp_scores=mlp_scores,
    )


def prepare_mlps(prepared: Prepared, watcher: Watcher) -> Prepared:
    """The same with MLPs as nodes: their outputs captured, their scores. Raises HeadlightError where they cannot be."""
    if prepared.mlp_scores is not None:
        return prepared
    model, prompts = prepared.model, prepared.prompts
    check_mlps(model)
    watcher.step(CALIBRATION, 0, 1)
    memory = plan_memory(model, prompts, prepared.settings.memory_budget, mlps=True)
    ledger = Ledger(pass_flops(model, prompts), watcher.spend, watcher.now)
    with ledger.stage(CALIBRATION):
        activations = capture(model, prompts, prepared.memory.rows, mlps=True)
        ledger.add(2 * ledger.flops_per_pass)
        scores = score_mlps(model, activations, ledger)
    watcher.step(CALIBRATION, 1, 1)
    return replace(
        prepared,
        settings=replace(prepared.settings, mlps=True),
        activations=activations,
        mlp_scores=scores,
        memory=replace(prepared.memory, streams=min(prepared.memory.streams, memory.streams)),
        cost=(together((*prepared.cost, *ledger.rows()), CALIBRATION, (CALIBRATION,)),),
    )


def _rate(model: Model, memory: MemoryPlan, calibration: CostRow) -> float:
    """Hooked forwards have their own speed: that of the calibration, which is made of them."""
    return flops_per_second(model, memory.rows) if model.fast else calibration.flops / calibration.seconds


def warm_up(model: Model, prompts: Prompts) -> None:
    """Run one prompt: weights are read from disk at first use, which must not pass for speed of the machine."""
    with torch.no_grad():
        tokens = next(prompts.batches()).clean[:1].to(model.device)
        run(model.parts, tokens) if model.fast else end_logits(model, tokens)


def task_prompts(model: Model, settings: Settings, seed: int) -> Prompts:
    """The built-in task's pairs at ``seed``; the first rows of a kept own task, which has no others."""
    if is_own(settings.task):
        return own_prompts(
            find_own(settings.task), model.tokenizer, model.max_positions, settings.pairs, settings.metric,
            settings.prepend_bos,
        )  # fmt: skip
    return build_prompts(settings.task, model.tokenizer, settings.pairs, seed, settings.metric, settings.prepend_bos)


def score_heads(model: Model, activations: Activations) -> HeadScores:
    """The scores that both runs suffice for, layer by layer: METHOD section 2.2 and the paired output difference."""
    layers: dict[Score, list[Tensor]] = {
        Score.CONTRASTIVE_FLAP: [], Score.FLAP: [], Score.OUTPUT_DIFFERENCE: []
    }  # fmt: skip
    for index in range(model.n_layers):
        weight = model.output_weight(index).to(model.device)  # z lies there
        clean = [item.clean_z[index].flatten(-2) for item in activations.batches]
        corrupted = [item.corrupted_z[index].flatten(-2) for item in activations.batches]
        layers[Score.FLAP].append(flap_scores(clean, weight, model.n_heads))
        both = clean, corrupted, weight, model.n_heads
        layers[Score.CONTRASTIVE_FLAP].append(contrastive_flap_scores(*both))
        layers[Score.OUTPUT_DIFFERENCE].append(output_difference_scores(*both))
    return HeadScores({score: torch.stack(values) for score, values in layers.items()})
