"""An evaluation as JSON: a part of a record of schema ``headlight/1`` (engine/record/writing.py).

Every number with an interval is ``{"value", "low", "high", "n", "draws"}``; null means undefined, or no interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from engine.circuit import LOGITS_NODE, Edge
from engine.edges.evaluation import EdgeEvaluation
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.minimality import Minimality
from engine.evaluation.random_circuits import RandomCircuits
from engine.heads import Head
from engine.record.json_values import Json, number
from engine.record.writing import cost_json


def evaluation_json(evaluation: Evaluation) -> Json:
    """All of it but the circuit itself, which stands beside it in a record."""
    return {
        "seed": evaluation.seed,
        "n": evaluation.n,
        "fresh": evaluation.fresh,
        "empty": evaluation.empty,
        "notes": list(evaluation.notes),
        **{name: plain(getattr(evaluation.plan, name)) for name in ("ablation", "draws", "random_circuits")},
        **{name: plain(getattr(evaluation, name)) for name in (
            "faithfulness", "performance", "accuracy", "kl", "probability_difference",
        )},
        "completeness": plain(evaluation.completeness) | {"words": evaluation.completeness.words},
        "head_minimality": minimality_json(evaluation.heads),
        "by_size": plain(evaluation.by_size) | {"shares": list(evaluation.by_size.shares)},
        "random": [_random_json(each) for each in evaluation.random],
        "held_out": plain(evaluation.held_out),
        "cost": cost_json(evaluation.cost),
    }  # fmt: skip


def edges_json(evaluation: EdgeEvaluation) -> Json:
    """Edges alone beside heads alone, and what each edge adds."""
    names = ("edges", "edges_performance", "heads", "heads_performance", "difference", "n", "seed", "fresh")
    return {
        "listed": evaluation.verification.edges,
        "distinct": evaluation.verification.distinct,
        **{name: plain(getattr(evaluation, name)) for name in names},
        "words": evaluation.words,
        "minimality": minimality_json(evaluation.minimality),
        "cost": cost_json(evaluation.cost),
    }


def minimality_json(found: Minimality[Head] | Minimality[Edge]) -> Json:
    return plain(found) | {"not_contributing": plain(found.not_contributing)}


def plain(value: Any) -> Any:
    """Frozen results as JSON: heads by name, kinds by value, NaN and infinity as null."""
    if isinstance(value, Head):
        return str(value)
    if isinstance(value, Edge):
        receiver = LOGITS_NODE if value.receiver is None else str(value.receiver)
        return {"sender": str(value.sender), "receiver": receiver, "input": value.input.value}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float):
        return number(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


def _random_json(found: RandomCircuits) -> Json:
    low, median, high = found.band
    return plain(found) | {"band": plain({"low": low, "median": median, "high": high}), "beaten": plain(found.beaten)}
