"""Answer keys of one's own, kept in the cache folder like own tasks (engine/tasks/own.py).

1. The name is ``key-`` and twelve hex digits of the content: the same key is kept once.
2. One JSON file each, written beside its place and moved into it, so that it is never seen half-written.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

from engine.errors import HeadlightError
from engine.machine.atomic import write_text
from engine.models.cache import cache_root, unwritable, writable_cache
from engine.models.registry import find_card
from engine.serving.limits import check_keeping, limits
from engine.trust.answer_key_file import AnswerKey, check_key, key_record, read_key

SUBFOLDER = "answer-keys"
NAME = re.compile(r"key-[0-9a-f]{12}")


def named(key: AnswerKey) -> AnswerKey:
    """``key`` under the name its content gives it."""
    content = json.dumps(key_record(key), sort_keys=True)
    return replace(key, name=f"key-{hashlib.sha256(content.encode()).hexdigest()[:12]}")


def keep(key: AnswerKey) -> AnswerKey:
    """Write the key to the cache folder and give it back named.

    Raises HeadlightError if a model known by name lacks a head of it, the folder cannot be written, or nothing is kept
    here.
    """
    check_keeping("answer keys", limits())
    card = find_card(key.model)
    if card is not None:
        check_key(key, card.n_layers, card.n_heads)
    key, folder = named(key), writable_cache(SUBFOLDER)
    try:
        write_text(json.dumps(key_record(key), indent=1, ensure_ascii=False), folder / f"{key.name}.json")
    except OSError as error:
        raise unwritable(folder, error) from error
    return key


def kept() -> tuple[AnswerKey, ...]:
    """All keys kept here, by title; damaged files are left out."""
    keys = [key for path in _files() if (key := _read(path)) is not None]
    return tuple(sorted(keys, key=lambda key: (key.title.lower(), key.name)))


def forget(name: str) -> None:
    """Delete a kept key; nothing happens if it is gone. Raises HeadlightError where visitors may change nothing."""
    check_keeping("changes to answer keys", limits())
    if NAME.fullmatch(name):
        (cache_root() / SUBFOLDER / f"{name}.json").unlink(missing_ok=True)


def _files() -> list[Path]:
    return sorted(path for path in (cache_root() / SUBFOLDER).glob("key-*.json") if NAME.fullmatch(path.stem))


def _read(path: Path) -> AnswerKey | None:
    """The key of a file; None if it is missing, damaged or not what its name says."""
    try:
        key = named(read_key(path.read_bytes()))
    except (OSError, HeadlightError):
        return None
    return key if key.name == path.stem else None
