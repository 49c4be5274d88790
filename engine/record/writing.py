"""A run as JSON, schema ``headlight/1``: what the command line writes and the app offers to download.

Matrices are nested lists ``[layer][head]``; null means not measured. Heads are written ``"23.3"``.
In a run whose settings say ``"mlps": true`` the mask and the effects have a last column for the layer's MLP, written
``"m23"``, and the circuit has a list of MLPs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.baseline import Baseline
from engine.circuit import LOGITS_NODE, Circuit
from engine.cost.ledger_json import cost_json, work_json
from engine.discovery import Discovery
from engine.machine.atomic import write_text
from engine.models.model import Model
from engine.nodes import nodes_of
from engine.patching.screening import Screening
from engine.record.json_values import Json, dumps, matrix, number
from engine.record.sweep_json import sweep_json
from engine.scores.head_scores import HeadScores
from engine.scoring.mlp_scores import MlpScores
from engine.search.grid import Grid
from engine.search.path_patching import MARGIN, SearchStep
from engine.settings import Settings
from engine.tasks.prompts import Prompts
from engine.trust.self_tests import SelfTests
from engine.tuning.as_json import tuning_json
from engine.verification import Verification
from engine.version import SCHEMA, made_with


@dataclass(frozen=True)
class Origin:
    """All that a record says of the model and of the libraries it was made with.

    ``fast``: whether paths were patched by the model's parts, or by hooks. ``fingerprint``: of config and weights,
    empty in records from before it was written. ``made_with``: versions by name. ``d_model`` is None in older records.
    """

    n_layers: int
    n_heads: int
    n_kv_heads: int
    fast: bool
    fingerprint: str
    made_with: Mapping[str, str]
    d_model: int | None
    parallel_mlps: bool  # they read what attention reads, not what it wrote

    @staticmethod
    def of(model: Model) -> Origin:
        """That of a run made here and now."""
        return Origin(
            n_layers=model.n_layers,
            n_heads=model.n_heads,
            n_kv_heads=model.n_kv_heads,
            fast=model.fast,
            fingerprint=model.fingerprint,
            made_with=made_with(),
            d_model=model.d_model,
            parallel_mlps=model.parallel_mlps,
        )

    def shape_json(self) -> Json:
        """All of the shape that is known."""
        shape: Json = {"n_layers": self.n_layers, "n_heads": self.n_heads, "n_kv_heads": self.n_kv_heads}
        known = self.d_model is not None
        return shape | ({"d_model": self.d_model, "parallel_mlps": self.parallel_mlps} if known else {})


def run_json(model: Model | Origin, settings: Settings, prompts: Prompts, baseline: Baseline) -> Json:
    """The part every run has: who, what, on which prompts, and how the whole model does."""
    origin = model if isinstance(model, Origin) else Origin.of(model)
    return {
        "schema": SCHEMA,
        "made_with": dict(origin.made_with),
        "model": settings.model,
        "fingerprint": origin.fingerprint,  # models of one name are told apart by it
        "model_shape": origin.shape_json(),
        "task": settings.task,
        "settings": asdict(settings) | {"metric": prompts.metric.value},
        "metric_asked": None if settings.metric is None else settings.metric.value,  # null: the task's own was taken
        "prompts": prompts_json(prompts),
        "baseline": baseline_json(baseline, prompts),
    }


def discovery_json(model: Model | Origin, found: Discovery) -> Json:
    """A whole run of ``discover``, of a model at hand or as ``origin_of`` reads it from a record."""
    origin = model if isinstance(model, Origin) else Origin.of(model)
    record = run_json(origin, found.settings, found.prompts, found.baseline)
    record |= {"complete": found.complete, "scores": scores_json(found.scores), "keep": found.keep.tolist()}
    if found.mlp_scores is not None:
        record["mlp_scores"] = mlp_scores_json(found.mlp_scores)
    if found.pruning is not None:
        record["sweep"] = sweep_json(found.pruning)
    record["path_patching"] = "fast" if origin.fast else "reference"
    record["self_check"] = numbers_json(found.check) if found.check is not None else None
    record["self_tests"] = self_tests_json(found.self_tests) if found.self_tests is not None else None
    record["effects"] = matrix(found.steps[0].effects) if found.steps else None
    record["steps"] = [step_json(step) for step in found.steps]
    if found.screening is not None:
        record["screening"] = screening_json(found.screening)
    if found.grid is not None:
        record["grid"] = grid_json(found.grid)
    if found.tuning is not None:
        record["tuning"] = tuning_json(found.tuning)
    record["circuit"] = circuit_json(found.circuit)
    if found.verification is not None:
        record["verification"] = verification_json(found.verification)
    record["predicted"] = cost_json(found.predicted)
    record["cost"] = cost_json(found.cost)
    return record


def prompts_json(prompts: Prompts) -> Json:
    """Token ids, one list a pair; positions and groups, one number a pair."""
    pairs = prompts.pairs
    return {
        "task": prompts.task,
        "clean": [pair.clean for pair in pairs],
        "corrupted": [pair.corrupted for pair in pairs],
        "clean_tokens": [list(pair.clean_tokens) for pair in pairs],
        "corrupted_tokens": [list(pair.corrupted_tokens) for pair in pairs],
        "answer_tokens": [list(pair.answer_tokens) for pair in pairs],
        "distractor_tokens": [list(pair.distractor_tokens) for pair in pairs],
        "end_positions": [pair.end_position for pair in pairs],
        "template_groups": [pair.template_group for pair in pairs],
    }


def numbers_json(values: Any) -> Json:
    """The fields of a dataclass of numbers."""
    return {name: number(value) for name, value in asdict(values).items()}


def baseline_json(baseline: Baseline, prompts: Prompts) -> Json:
    """How the whole model does, also pair by pair."""
    return {
        "clean_logit_diff": number(baseline.clean_logit_diff),
        "corrupted_logit_diff": number(baseline.corrupted_logit_diff),
        "accuracy": number(baseline.accuracy),
        "n": baseline.n,
        "metric": prompts.metric.value,
        "capable": baseline.capable,
        "verdict": baseline.verdict,
        "clean_by_pair": [number(value) for value in baseline.clean_by_pair.tolist()],
        "corrupted_by_pair": [number(value) for value in baseline.corrupted_by_pair.tolist()],
    }


def scores_json(scores: HeadScores) -> Json:
    """Those measured; what is made of others can be made of them again."""
    return {score.value: matrix(scores.of(score)) for score in scores.available()}


def mlp_scores_json(scores: MlpScores) -> Json:
    """One number a layer."""
    return {"flap": scores.flap.tolist(), "contrastive_flap": scores.contrastive_flap.tolist()}


def self_tests_json(done: SelfTests) -> Json:
    """Every test with its largest deviation, and whether all passed."""
    tests = [
        {
            "name": test.name, "meaning": test.meaning, "value": number(test.value),
            "tolerance": number(test.tolerance), "passed": test.passed,
        }
        for test in done.tests
    ]  # fmt: skip
    return {
        "passed": done.passed, "pairs": done.pairs, "tests": tests, "skipped": list(done.skipped), "flops": done.flops,
    }  # fmt: skip


def step_json(step: SearchStep) -> Json:
    return {
        "receivers": [str(head) for head in step.receivers],
        "input": step.input.value,
        "effects": matrix(step.effects),
        # First-order only: their numbers are estimates, all others exact. An important sender is never one, but for
        # EAP, which has nothing else.
        "estimated": [str(node) for node in nodes_of(step.estimated, step.n_heads)],
        "thresholds": [number(value) for value in step.thresholds.tolist()],
        "important": [str(head) for head in step.important],
        # By path patching, from its start until all receivers of the step's layer were measured: they are at once.
        "spent": None if step.spent is None else work_json(step.spent),
    }


def screening_json(screening: Screening) -> Json:
    """How many paths were estimated, how many of those recomputed, and how far the two were apart (in f)."""
    return {
        "estimated": screening.estimated,
        "recomputed": screening.recomputed,
        "largest_disagreement": number(screening.largest),
        "margin": MARGIN,
    }


def grid_json(grid: Grid) -> Json:
    """Every pair of thresholds with its circuit's size, and the one taken."""
    points = [
        {
            "threshold_scale": point.thresholds.scale,
            "min_effect": point.thresholds.min_effect,
            "heads": point.size,
            "edges": point.edges,
            "performance": number(point.performance),
            "estimated": point.estimated,
            "chosen": index == grid.chosen,
        }
        for index, point in enumerate(grid.points)
    ]
    return {"points": points, "reason": grid.reason}


def circuit_json(circuit: Circuit) -> Json:
    return {
        "heads": [str(head) for head in circuit.heads],
        **({"mlps": [str(mlp) for mlp in circuit.mlps]} if circuit.mlps else {}),
        "edges": [
            {
                "sender": str(edge.sender),
                "receiver": LOGITS_NODE if edge.receiver is None else str(edge.receiver),
                "input": edge.input.value,
                "effect": edge.effect,
                "shared": edge.shared,
            }
            for edge in circuit.edges
        ],
    }


def verification_json(verification: Verification) -> Json:
    content = asdict(verification)
    interval = {name: number(value) for name, value in content.pop("interval").items()}
    return {name: number(value) for name, value in content.items()} | {
        "faithfulness_interval": [interval["low"], interval["high"]],
        "bootstrap": {name: interval[name] for name in ("value", "n", "draws")},
    }


def write_json(record: Json, path: Path) -> None:
    """Atomically: the file is the whole record or what it was before."""
    write_text(dumps(record) + "\n", path)
