"""What stages took, as JSON and back: a part of records, and of what a run notes of its work on the way."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cost.ledger import CostRow
from engine.record.json_values import Json, number
from engine.record.reader import Reader

NAMES = ("seconds", "forward_passes", "flops")


def cost_json(rows: Sequence[CostRow]) -> Json:
    """By stage."""
    return {row.stage: work_json(row) for row in rows}


def work_json(row: CostRow) -> Json:
    """Of one stage, whose name stands elsewhere."""
    return {name: number(getattr(row, name)) for name in NAMES}


def cost_in(part: Reader) -> tuple[CostRow, ...]:
    """The inverse of ``cost_json``; raises HeadlightError for anything else."""
    return tuple(work_in(part.part(stage), stage) for stage in part.value)


def work_in(part: Reader, stage: str) -> CostRow:
    """The inverse of ``work_json``."""
    return CostRow(stage, *(part.number(name) for name in NAMES))
