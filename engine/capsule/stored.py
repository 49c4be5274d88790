"""A run of the store as a capsule: its record, what was measured of it later, its name, tags and labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.capsule.capsule import KINDS, Capsule
from engine.capsule.labels import BY_NODE, MOST_TEXT
from engine.capsule.reading import capsule_of
from engine.record.json_values import Json
from engine.store.store import RunStore

LONGEST = 64  # letters of an attachment's name in a capsule
STORED_LABELS = "labels"  # kind of attachment


def stored_capsule(store: RunStore, run: str) -> Capsule:
    """The run of that id; raises HeadlightError if it is not there or has no record."""
    about, attached = store.get(run), store.attachments(run)
    labels: Json = {"name": about.name} if about.name else {}
    if about.tags:
        labels["tags"] = list(about.tags)
    return capsule_of(store.read(run), attachments_of(attached), labels | labels_of(attached))


def attachments_of(attached: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Json]]:
    """Those a capsule carries, under names that it may have."""
    kept: dict[str, dict[str, Json]] = {}
    for kind in (kind for kind in KINDS if attached.get(kind)):
        kept[kind] = {}
        for name, content in attached[kind].items():
            kept[kind][_free(_plain_name(name), kept[kind])] = content
    return kept


def labels_of(attached: Mapping[str, Mapping[str, Any]]) -> Json:
    """Names and roles of heads, of all labels that were kept; of the same head the later one's."""
    found: Json = {}
    for content in attached.get(STORED_LABELS, {}).values():
        for key in BY_NODE:
            given = content.get(key) if isinstance(content, dict) else None
            texts = given.items() if isinstance(given, dict) else ()
            short = {name: text[:MOST_TEXT] for name, text in texts if isinstance(text, str)}
            if short:
                found[key] = found.get(key, {}) | short
    return found


def _plain_name(name: str) -> str:
    """Letters, digits, ``-`` and ``_``, the first of them a letter or digit."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:LONGEST]
    return plain if plain[:1].isascii() and plain[:1].isalnum() else f"x{plain}"[:LONGEST]


def _free(name: str, taken: Mapping[str, Json]) -> str:
    """``name``, numbered where two names became the same."""
    number, free = 2, name
    while free in taken:
        ending = f"-{number}"
        number, free = number + 1, name[: LONGEST - len(ending)] + ending
    return free
