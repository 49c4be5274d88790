"""A run as JSON, schema ``headlight/1``: what the command line writes and the app offers to download.

Matrices are nested lists ``[layer][head]``; null means not measured. Heads are written ``"23.3"``.
In a run whose settings say ``"mlps": true`` the mask and the effects have a last column for the layer's MLP, written
``"m23"``, and the circuit has a list of MLPs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from torch import Tensor

from engine.atomic import write_text
from engine.baseline import Baseline
from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.cost import CostRow
from engine.errors import HeadlightError
from engine.grid import Grid
from engine.heads import Head, check_head
from engine.mlp_scores import MlpScores
from engine.models.model import Model
from engine.nodes import Node, check_node, mlps_among, nodes_of, parse_node
from engine.patching.screening import Screening
from engine.pipeline import Discovery
from engine.scores.head_scores import HeadScores
from engine.search import MARGIN, SearchStep
from engine.settings import Settings
from engine.sparsity_sweep import Pruning, Sweep
from engine.tasks.prompts import Prompts
from engine.trust_record import self_tests_json
from engine.tuning.as_json import tuning_json
from engine.verification import Verification

SCHEMA = "headlight/1"
Json = dict[str, Any]


def run_json(model: Model, settings: Settings, prompts: Prompts, baseline: Baseline) -> Json:
    """The part every run has: who, what, on which prompts, and how the whole model does."""
    return {
        "schema": SCHEMA,
        "model": settings.model,
        "model_shape": {"n_layers": model.n_layers, "n_heads": model.n_heads, "n_kv_heads": model.n_kv_heads},
        "task": settings.task,
        "settings": asdict(settings) | {"metric": prompts.metric.value},
        "prompts": prompts_json(prompts),
        "baseline": {
            "clean_logit_diff": baseline.clean_logit_diff,
            "corrupted_logit_diff": baseline.corrupted_logit_diff,
            "accuracy": baseline.accuracy,
            "n": baseline.n,
            "metric": prompts.metric.value,
            "capable": baseline.capable,
            "verdict": baseline.verdict,
        },
    }


def discovery_json(model: Model, found: Discovery) -> Json:
    """A whole run of ``discover``."""
    record = run_json(model, found.settings, found.prompts, found.baseline)
    record |= {"complete": found.complete, "scores": scores_json(found.scores), "keep": found.keep.tolist()}
    if found.mlp_scores is not None:
        record["mlp_scores"] = mlp_scores_json(found.mlp_scores)
    if found.pruning is not None:
        record["sweep"] = sweep_json(found.pruning)
    record["path_patching"] = "fast" if model.fast else "reference"
    record["self_check"] = asdict(found.check) if found.check is not None else None
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
        "clean": [pair.clean for pair in pairs],
        "corrupted": [pair.corrupted for pair in pairs],
        "clean_tokens": [list(pair.clean_tokens) for pair in pairs],
        "corrupted_tokens": [list(pair.corrupted_tokens) for pair in pairs],
        "answer_tokens": [list(pair.answer_tokens) for pair in pairs],
        "distractor_tokens": [list(pair.distractor_tokens) for pair in pairs],
        "end_positions": [pair.end_position for pair in pairs],
        "template_groups": [pair.template_group for pair in pairs],
    }


def scores_json(scores: HeadScores) -> Json:
    """Those measured; what is made of others can be made of them again."""
    return {score.value: matrix(scores.of(score)) for score in scores.available()}


def mlp_scores_json(scores: MlpScores) -> Json:
    """One number a layer."""
    return {"flap": scores.flap.tolist(), "contrastive_flap": scores.contrastive_flap.tolist()}


def sweep_json(pruning: Pruning) -> Json:
    """Both curves with their cliffs, the nine unions, and the one chosen."""
    merges = [
        {
            "flap_cliff": merge.flap_cliff.kind.value,
            "contrastive_flap_cliff": merge.contrastive_cliff.kind.value,
            "size": merge.size,
            "performance": _number(merge.performance),
            "chosen": merge is pruning.choice.merge,
        }
        for merge in pruning.merges
    ]
    curves = {name: _curve_json(sweep) for name, sweep in pruning.sweeps.items()}
    return {**curves, "merges": merges, "reason": pruning.choice.reason}


def _curve_json(sweep: Sweep) -> Json:
    return {
        "sparsities": list(sweep.sparsities),
        "sizes": list(sweep.sizes),
        "performance": [_number(value) for value in sweep.performance],
        "faithfulness": [_number(value) for value in sweep.faithfulness],
        "cliffs": {
            cliff.kind.value: {"sparsity": cliff.sparsity, "reason": cliff.reason} for cliff in sweep.cliffs.all()
        },
    }


def step_json(step: SearchStep) -> Json:
    return {
        "receivers": [str(head) for head in step.receivers],
        "input": step.input.value,
        "effects": matrix(step.effects),
        # First-order only: their numbers are estimates, all others exact. An important sender is never one, but for
        # EAP, which has nothing else.
        "estimated": [str(node) for node in nodes_of(step.estimated, step.n_heads)],
        "thresholds": [_number(value) for value in step.thresholds.tolist()],
        "important": [str(head) for head in step.important],
        # By path patching, from its start until all receivers of the step's layer were measured: they are at once.
        "spent": None if step.spent is None else _work_json(step.spent),
    }


def screening_json(screening: Screening) -> Json:
    """How many paths were estimated, how many of those recomputed, and how far the two were apart (in f)."""
    return {
        "estimated": screening.estimated,
        "recomputed": screening.recomputed,
        "largest_disagreement": _number(screening.largest),
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
            "performance": _number(point.performance),
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
    interval = content.pop("interval")
    ends = [_number(interval[end]) for end in ("low", "high")]
    return {name: _number(value) for name, value in content.items()} | {"faithfulness_interval": ends}


def cost_json(rows: Sequence[CostRow]) -> Json:
    """By stage."""
    return {row.stage: _work_json(row) for row in rows}


def _work_json(row: CostRow) -> Json:
    return {"seconds": row.seconds, "forward_passes": row.forward_passes, "flops": row.flops}


def matrix(values: Tensor) -> list[list[float | None]]:
    """``[layer head]`` as nested lists, NaN as null."""
    return [[_number(value) for value in row] for row in values.tolist()]


def _number(value: Any) -> Any:
    """JSON has neither NaN nor infinity: both become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class SavedCircuit:
    """What ``verify`` needs of a saved run; ``settings`` as they stand in the file."""

    model: str
    task: str
    settings: Json
    heads: tuple[str, ...]
    mlps: tuple[str, ...] | None  # those of a run in which they are nodes


def read_saved_circuit(path: Path) -> SavedCircuit:
    """Read a run written by ``discover``; raises HeadlightError if it is not one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HeadlightError(f"Cannot read {path}: {error.strerror}. Give a file that discover wrote.") from error
    except ValueError as error:
        raise HeadlightError(f"{path} is not JSON ({error}). Give a file that discover wrote.") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        raise HeadlightError(f"Expected a file with schema {SCHEMA}, got {found!r} in {path}.")
    try:
        heads = tuple(str(head) for head in record["circuit"]["heads"])
        settings = dict(record["settings"])
        mlps = tuple(str(mlp) for mlp in record["circuit"].get("mlps", ())) if settings.get("mlps") else None
        return SavedCircuit(record["model"], record["task"], settings, heads, mlps)
    except (KeyError, TypeError) as error:
        raise HeadlightError(f"{path} holds no circuit: {error}. Give a file that discover wrote.") from error


def settings_of(saved: SavedCircuit) -> Settings:
    """The settings a run was made with; raises HeadlightError for those this version does not know."""
    kinds = get_type_hints(Settings)
    unknown = sorted(set(saved.settings) - set(kinds))
    if unknown:
        raise HeadlightError(f"The run has a setting {unknown[0]!r} that is not known here. Make the run again.")
    try:
        return Settings(**{name: _typed(value, kinds[name]) for name, value in saved.settings.items()})
    except (TypeError, ValueError) as error:
        raise HeadlightError(f"The run has settings that cannot be used ({error}). Make the run again.") from error


def _typed(value: Any, kind: Any) -> Any:
    """``value`` as the named choice its setting takes, if it takes one."""
    choices = [each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, StrEnum)]
    return choices[0](value) if choices and value is not None else value


def parse_heads(names: Sequence[str], n_layers: int, n_heads: int) -> tuple[Head, ...]:
    """Heads by name, each once, in layer order; raises HeadlightError for one the model lacks."""
    return tuple(sorted({check_head(Head.parse(name), n_layers, n_heads) for name in names}))


def parse_nodes(names: Sequence[str], n_layers: int, n_heads: int) -> tuple[Node, ...]:
    """Heads and MLPs by name, each once, in order; raises HeadlightError for one the model lacks."""
    return tuple(sorted({check_node(parse_node(name), n_layers, n_heads) for name in names}))


def parse_circuit(record: Json, n_layers: int, n_heads: int) -> Circuit:
    """The inverse of ``circuit_json``; raises HeadlightError for a head or an MLP the model lacks."""
    edges = []
    for edge in record["edges"]:
        receiver = None if edge["receiver"] == LOGITS_NODE else parse_node(edge["receiver"])
        edges.append(
            Edge(parse_node(edge["sender"]), receiver, Input(edge["input"]), edge["effect"], edge.get("shared", False))
        )
    mlps = mlps_among(parse_nodes(record.get("mlps", ()), n_layers, n_heads))
    return Circuit(parse_heads(record["heads"], n_layers, n_heads), tuple(edges), n_layers, n_heads, mlps)


def dumps(record: Json) -> str:
    """Strict JSON: a NaN that slipped through is an error, not a file no one else can read."""
    return json.dumps(record, allow_nan=False, ensure_ascii=False)


def write_json(record: Json, path: Path) -> None:
    """Atomically: the file is the whole record or what it was before."""
    write_text(dumps(record) + "\n", path)
