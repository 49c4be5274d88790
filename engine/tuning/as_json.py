"""Automatic settings as part of a run's record (engine/record/writing.py): every trial, the front and the choice."""

from __future__ import annotations

from engine.cost.ledger_json import cost_json
from engine.record.json_values import Json, number
from engine.tuning.results import Trial, Tuning


def tuning_json(tuning: Tuning) -> Json:
    """Sizes in heads, performance in percent; null where a trial was pruned or nobody measured."""
    on_front = {trial.number for trial in tuning.front}
    return {
        "trials": [
            _trial_json(trial) | {"front": trial.number in on_front, "chosen": trial.number == tuning.chosen.number}
            for trial in tuning.trials
        ],
        "reason": tuning.reason,
        "seeds": {
            "search": tuning.seeds.search, "held_out": tuning.seeds.held_out, "report": tuning.seeds.report,
            "fresh": tuning.seeds.fresh,
        },
        "n": tuning.n,
        "ablation": tuning.ablation.value,
        "wanted": tuning.wanted,
        "kept": tuning.kept,
        "complete": tuning.complete,
        "cost": cost_json(tuning.cost),
    }  # fmt: skip


def _trial_json(trial: Trial) -> Json:
    settings, outcome = trial.settings, trial.outcome
    return {
        "number": trial.number,
        "score": settings.score.value,
        "sparsity": settings.sparsity,
        "flap_sparsity": settings.flap_sparsity,
        "threshold_scale": settings.threshold_scale,
        "min_effect": settings.min_effect,
        "mask_size": trial.mask_size,
        "mask_faithfulness": number(trial.mask_faithfulness),
        "pruned": trial.pruned or None,
        "heads": None if outcome is None else [str(head) for head in outcome.heads],
        "edges": None if outcome is None else outcome.edges,
        "faithfulness": number(trial.faithfulness),
        "performance": number(trial.performance),
        "estimated": None if outcome is None else outcome.estimated,
        "seconds": trial.seconds,
        "flops": trial.flops,
    }
