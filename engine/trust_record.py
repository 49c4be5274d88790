"""Self-tests, agreement, stability and receipts as JSON: parts of records and records of their own.

Heads are written ``"9.6"``, edges as in a circuit; null means not measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from engine.agreement import ENOUGH_RECALL, Agreement, RocCurve, ScoreAgreement
from engine.circuit import LOGITS_NODE
from engine.overlap import EdgeName, Overlap
from engine.self_tests import SelfTests

Json = dict[str, Any]


def self_tests_json(done: SelfTests) -> Json:
    """Every test with its largest deviation, and whether all passed."""
    tests = [
        {
            "name": test.name, "meaning": test.meaning, "value": number(test.value), "tolerance": test.tolerance,
            "passed": test.passed,
        }
        for test in done.tests
    ]  # fmt: skip
    return {"passed": done.passed, "pairs": done.pairs, "tests": tests, "skipped": list(done.skipped)}


def agreement_json(agreement: Agreement, scores: Sequence[ScoreAgreement] = ()) -> Json:
    """A circuit against a reference, and the scores against the reference's heads."""
    edges = agreement.edges
    return {
        "title": agreement.title,
        "source": agreement.source,
        "heads": _overlap_json(agreement.heads, str),
        "edges": None if edges is None else _overlap_json(edges, edge_json),
        "scores": {score.score: _score_json(score) for score in scores},
    }


def edge_json(edge: EdgeName) -> Json:
    sender, receiver, letter = edge
    return {"sender": str(sender), "receiver": LOGITS_NODE if receiver is None else str(receiver), "input": letter}


def _overlap_json(overlap: Overlap[Any], write: Callable[[Any], Any]) -> Json:
    return {
        "precision": number(overlap.precision),
        "recall": number(overlap.recall),
        "jaccard": number(overlap.jaccard),
        "common": [write(member) for member in overlap.common],
        "only_found": [write(member) for member in overlap.only_first],
        "missing": [write(member) for member in overlap.only_second],
    }


def _score_json(score: ScoreAgreement) -> Json:
    curve = score.recall
    return {
        "known": score.known,
        "recall_curve": {
            "sparsities": list(curve.sparsities),
            "sizes": list(curve.sizes),
            "recall": [number(value) for value in curve.recall],
            "precision": [number(value) for value in curve.precision],
        },
        "roc": _roc_json(score.roc),
        "heads_needed": {"recall": ENOUGH_RECALL, "heads": score.needed},
        "rank_correlation_with_effects": number(score.correlation),
    }


def _roc_json(roc: RocCurve) -> Json:
    return {
        "false_positive_rate": [number(value) for value in roc.false_positive_rate],
        "true_positive_rate": [number(value) for value in roc.true_positive_rate],
        "auc": number(roc.auc),
    }


def number(value: float) -> float | None:
    """JSON has neither NaN nor infinity: both become null."""
    return value if math.isfinite(value) else None
