"""An evaluation's numbers as a table: one row a number, with what it was measured under."""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.ablation import Ablation
from engine.evaluation.bootstrap import Interval
from engine.evaluation.evaluate import Evaluation

Row = dict[str, str | float | int | None]

SHARE = "0 corrupted, 1 the whole model"


def evaluation_rows(found: Evaluation) -> list[Row]:
    """Everything but single heads, sizes and random circuits, which have tables of their own."""
    kind = found.plan.ablation
    rows = list(_kinds(found))
    of_both = (
        ("accuracy", found.accuracy, "share of pairs"),
        ("probability difference", found.probability_difference, "probability"),
    )
    for name, each, unit in of_both:
        rows.append(_row(name, "circuit", kind, each.circuit, unit))
        rows.append(_row(name, "whole model", None, each.model, unit))
        rows.append(_row(name, "circuit − model", kind, each.difference, unit))
    rows.append(_row("KL divergence", "model to circuit", kind, found.kl, "nats"))
    rows.append(_row("faithfulness", "all but the circuit", kind, found.completeness.left, SHARE))
    rows.append(_row("faithfulness", "no head at all", kind, found.completeness.floor, SHARE))
    rows.append(_row("faithfulness", "all but the circuit − no head", kind, found.completeness.excess, SHARE))
    rows.append(_row("CPR", "area under faithfulness by size", kind, found.by_size.cpr, "higher is better"))
    rows.append(_row("CMD", "area to the whole model by size", kind, found.by_size.cmd, "lower is better"))
    if (held := found.held_out) is not None:
        rows.append(_row("faithfulness", f"seed {held.selection_seed}, found on it", kind, held.selection, SHARE))
        rows.append(_row("faithfulness", "found on − fresh", kind, held.gap, SHARE))
    return rows


def _kinds(found: Evaluation) -> Iterator[Row]:
    for each in found.faithfulness:
        yield _row("faithfulness", "circuit", each.ablation, each.faithfulness, SHARE)
    for each in found.performance:
        yield _row("performance", "circuit", each.ablation, each.performance, "%")
    for each in found.faithfulness:
        yield _row("metric", "circuit", each.ablation, each.circuit, "")
    yield _row("metric", "whole model, clean", None, found.faithfulness[0].clean, "")
    yield _row("metric", "whole model, corrupted", None, found.faithfulness[0].corrupted, "")


def _row(name: str, of: str, ablation: Ablation | None, found: Interval, unit: str) -> Row:
    return {
        "number": name, "of": of, "ablation": ablation.value if ablation is not None else None,
        "value": _number(found.value), "low": _number(found.low), "high": _number(found.high), "unit": unit,
        "pairs": found.n, "note": found.note or None,
    }  # fmt: skip


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
