"""Agreement, stability and receipts as JSON: parts of records and records of their own.

Heads are written ``"9.6"``, edges as in a circuit; null means not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.circuit import LOGITS_NODE, Circuit
from engine.evaluation.bootstrap import Interval
from engine.heads import Head
from engine.record.json_values import Json, number
from engine.trust.agreement import ENOUGH_RECALL, Agreement, RocCurve, ScoreAgreement
from engine.trust.frequency import Frequency
from engine.trust.overlap import EdgeName, Overlap, name_of
from engine.trust.receipt import Receipt, Receipts
from engine.trust.refind import Refind
from engine.trust.stability import Stability, frequency_of


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


def stability_json(found: Stability, circuit: Circuit) -> Json:
    """Every run, and how often what is in any of them, and in ``circuit``, was found."""
    mine = frequency_of(circuit, found)
    return {
        "complete": found.complete,
        "report": {"seed": found.report_seed, "n": found.n, "fresh": found.fresh, "ablation": found.ablation.value},
        "notes": list(found.notes),
        "runs": [_refind_json(refind) for refind in found.refinds],
        "overall": frequency_json(found.overall),
        "by_kind": {kind.value: frequency_json(frequency) for kind, frequency in found.by_kind.items()},
        "circuit": {
            "heads": {str(head): number(value) for head, value in mine.heads.items()},
            "edges": [edge_json(name) | {"frequency": number(value)} for name, value in mine.edges.items()],
        },
    }


def frequency_json(frequency: Frequency) -> Json:
    """Null frequencies: one run alone, from which none can be judged."""
    return {
        "runs": frequency.n,
        "judged": frequency.judged,
        "heads": {str(head): number(value) for head, value in frequency.heads.items()},
        "edges": [edge_json(name) | {"frequency": number(value)} for name, value in frequency.edges.items()],
        "coin_flips": [str(head) for head in frequency.coin_flips],
        "sizes": list(frequency.sizes),
    }


def _refind_json(refind: Refind) -> Json:
    draw, circuit = refind.draw, refind.circuit
    return {
        "kind": draw.kind.value,
        "label": draw.label,
        "seed": draw.seed,
        "pairs": list(draw.places),
        "heads": None if circuit is None else [str(head) for head in circuit.heads],
        "edges": None if circuit is None else [edge_json(name_of(edge)) for edge in circuit.edges],
        "problem": refind.problem,
        "faithfulness": number(refind.faithfulness),
        "faithfulness_used": number(refind.used),
        "faithfulness_left_out": number(refind.held_out),
    }


def receipts_json(done: Receipts) -> Json:
    return {
        "complete": done.complete,
        "report": {"seed": done.seed, "n": done.n, "fresh": done.fresh, "ablation": done.ablation.value},
        "receipts": [_receipt_json(receipt) for receipt in done.receipts],
    }


def _receipt_json(receipt: Receipt) -> Json:
    target, claim = receipt.target, receipt.claim
    return {
        "of": str(target) if isinstance(target, Head) else edge_json(target),
        "claim": {"matters": claim.matters, "effect": number(claim.effect), "sign": claim.sign},
        "effect": interval_json(receipt.effect),
        "by_pair": [number(value) for value in receipt.by_pair.tolist()],
        "norm": number(receipt.norm),
        "control": None if receipt.control is None else str(receipt.control),
        "control_norm": number(receipt.control_norm),
        "control_effect": None if receipt.control_effect is None else interval_json(receipt.control_effect),
        "difference": None if receipt.difference is None else interval_json(receipt.difference),
        "verdict": receipt.verdict.value,
        "words": receipt.words,
    }


def interval_json(interval: Interval) -> Json:
    return {
        "value": number(interval.value), "low": number(interval.low), "high": number(interval.high),
        "n": interval.n, "draws": interval.draws,
    }  # fmt: skip
