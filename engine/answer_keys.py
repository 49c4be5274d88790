"""Published circuits to hold a found one against (METHOD section 3), from ``assets/answer_keys.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.heads import Head

_FILE = Path(__file__).parent / "assets" / "answer_keys.json"


@dataclass(frozen=True, eq=False)
class AnswerKey:
    """Heads somebody named for a model and task; ``roles`` maps each to its role, "" where none was given."""

    model: str
    task: str
    title: str
    source: str
    roles: Mapping[Head, str]

    @property
    def heads(self) -> tuple[Head, ...]:
        """In layer order."""
        return tuple(sorted(self.roles))


def answer_keys(model: str, task: str) -> tuple[AnswerKey, ...]:
    """The keys for a model (by registry name) and task, best known first; none for most."""
    return tuple(key for key in _all() if key.model == model and key.task == task)


def models_with_keys() -> tuple[tuple[str, str], ...]:
    """Every (model, task) there is a key for."""
    return tuple(dict.fromkeys((key.model, key.task) for key in _all()))


@dataclass(frozen=True)
class Overlap:
    """A circuit held against an answer key; heads in layer order."""

    both: tuple[Head, ...]  # found, and in the key
    only_found: tuple[Head, ...]
    missing: tuple[Head, ...]  # in the key, not found


def overlap(key: AnswerKey, found: Iterable[Head]) -> Overlap:
    heads, known = set(found), set(key.roles)
    return Overlap(tuple(sorted(heads & known)), tuple(sorted(heads - known)), tuple(sorted(known - heads)))


@cache
def _all() -> tuple[AnswerKey, ...]:
    entries = json.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        AnswerKey(
            model=entry["model"],
            task=entry["task"],
            title=entry["title"],
            source=entry["source"],
            roles={Head.parse(name): role for role, names in entry["roles"].items() for name in names},
        )
        for entry in entries
    )
