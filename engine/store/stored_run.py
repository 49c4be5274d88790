"""What is known of a kept run without reading it: how it ended, what it was asked to do, and a few numbers.

The key is a hash of all that a run was asked to do, so that the same question is recognised. A task's own metric and
no metric ask the same. What is no part of the settings, as rows of one's own, goes in beside them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from engine.record.json_values import Json
from engine.settings import Settings
from engine.tasks.task import TASKS


class RunState(StrEnum):
    """How far a run came; ``incomplete``: its process was gone before it ended."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class StoredRun:
    """One run. Times in seconds since 1970; ``summary`` has the numbers that were measured, and no others.

    ``error`` is what went wrong, in the run or with what was kept of it: a damaged run is listed as failed. Later
    runs have a larger ``sequence``, whatever the clock says.
    """

    id: str
    key: str
    state: RunState
    model: str
    fingerprint: str
    task: str
    settings: Json
    name: str
    tags: tuple[str, ...]
    created: float
    ended: float | None
    bytes: int
    error: str | None
    summary: dict[str, float]
    deleted: float | None
    sequence: int

    @property
    def seconds(self) -> float | None:
        """From begin to end, never negative: the clock may have been set back."""
        return None if self.ended is None else max(0.0, self.ended - self.created)


def key_of(settings: Settings, besides: str = "") -> str:
    """24 hex digits; ``besides``: a digest of what else the run depends on, such as rows of one's own."""
    return key_of_plain(plain_settings(settings), besides)


def key_of_plain(settings: Mapping[str, Any], besides: str = "") -> str:
    """The same of settings as they stand in a record; those of an older one have the default of what it lacks."""
    whole = plain_settings(Settings()) | dict(settings)
    if whole["metric"] is None:
        whole["metric"] = next((task.metric.value for task in TASKS if task.name == whole["task"]), None)
    text = json.dumps([whole, besides], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def plain_settings(settings: Settings) -> Json:
    """As JSON has them."""
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in asdict(settings).items()}


def summary_of(record: Json) -> dict[str, float]:
    """A record's numbers for a list of runs, those that were measured."""
    circuit, seen, cost = (_part(record, name) for name in ("circuit", "verification", "cost"))
    found = {
        "heads": _length(circuit, "heads"),
        "edges": _length(circuit, "edges"),
        "performance": seen.get("performance"),
        "faithfulness": seen.get("faithfulness"),
        "accuracy": _part(record, "baseline").get("accuracy"),
        "seconds": _total(cost, "seconds"),
        "flops": _total(cost, "flops"),
    }
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def _part(record: Json, name: str) -> Json:
    """Empty where it is missing, or is no object: a record from elsewhere may say anything."""
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _length(part: Json, name: str) -> int | None:
    return len(part[name]) if isinstance(part.get(name), list) else None


def _total(cost: Json, name: str) -> float | None:
    values = [_part(cost, stage).get(name) for stage in cost]
    return sum(value for value in values if isinstance(value, int | float)) if values else None
