"""Circuits to hold a found one against: published (METHOD section 3, ``assets/answer_keys.json``) and one's own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from engine.heads import Head
from engine.trust.answer_key_file import AnswerKey, key_of
from engine.trust.overlap import Overlap, overlap
from engine.trust.own_keys import kept

_FILE = Path(__file__).parent / "assets" / "answer_keys.json"


def answer_keys(model: str, task: str) -> tuple[AnswerKey, ...]:
    """The keys for a model (by registry name) and task: published ones, best known first, then one's own."""
    return tuple(key for key in (*_published(), *kept()) if key.model == model and key.task == task)


def models_with_keys() -> tuple[tuple[str, str], ...]:
    """Every (model, task) there is a key for."""
    return tuple(dict.fromkeys((key.model, key.task) for key in (*_published(), *kept())))


def against_key(found: Iterable[Head], key: AnswerKey) -> Overlap[Head]:
    """The heads found (first) and those of the key (second), in layer order: precision, recall, who is missing."""
    return overlap(sorted(found), key.heads)


@cache
def _published() -> tuple[AnswerKey, ...]:
    return tuple(key_of(entry) for entry in json.loads(_FILE.read_text(encoding="utf-8")))
