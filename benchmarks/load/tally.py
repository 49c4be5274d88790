"""What all sessions together have seen, and what a session asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.models import BUNDLED, TOY

UNSTEADY = ("seconds", "spent", "cost", "predicted", "self_check", "made_with", "flops_per_second")


@dataclass(frozen=True)
class Request:
    """What a session looks at. There are few of them, so that many ask for the same."""

    model: str
    task: str
    pairs: int
    seed: int

    def query(self, **more: object) -> dict[str, str]:
        return {name: str(value) for name, value in (asdict(self) | more).items()}


def requests(model: str) -> list[Request]:
    if model == TOY:
        return [Request(TOY, "induction-random", pairs, seed) for pairs in (4, 6) for seed in range(4)]
    return [Request(BUNDLED, task, 2, seed) for task in ("ioi", "pronouns") for seed in range(2)]


@dataclass
class Tally:
    """What all sessions together have seen. ``records`` are texts by request, each with how often it came."""

    done: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)
    to_scores: list[float] = field(default_factory=list)
    to_circuit: list[float] = field(default_factory=list)
    records: dict[Request, dict[str, int]] = field(default_factory=dict)
    memory: list[tuple[float, float]] = field(default_factory=list)
    clicked_again: int = 0
    most_waiting: int = 0
    most_sessions: int = 0

    def count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def keep(self, request: Request, record: bytes) -> None:
        text = steady(json.loads(record))
        found = self.records.setdefault(request, {})
        found[text] = found.get(text, 0) + 1


def steady(record: Any) -> str:
    """What must be the same in every run of the same request, as text."""
    return json.dumps(_steady(record), sort_keys=True)


def _steady(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _steady(each) for key, each in value.items() if key not in UNSTEADY}
    return [_steady(each) for each in value] if isinstance(value, list) else value
