"""What people said of a run, as a capsule carries it: checked like everything else in it.

``{"name": text, "tags": [text …], "names": {"9.6": text …}, "roles": {"9.6": text …}}``, each of them optional.
"""

from __future__ import annotations

from typing import Any

from engine.errors import HeadlightError
from engine.nodes import parse_node
from engine.record.json_values import Json

TEXTS, LISTS, BY_NODE = ("name",), ("tags",), ("names", "roles")
MOST_TEXT = 200
MOST_ENTRIES = 10_000


def check_labels(labels: Json, way_on: str) -> None:
    """Raise HeadlightError for anything that no labels are."""
    for key, value in labels.items():
        if not _fits(key, value):
            expected = f"{', '.join((*TEXTS, *LISTS, *BY_NODE))}: short texts, by head where it says names or roles"
            raise HeadlightError(
                f"The capsule's labels have {key[:60]!r} that cannot be read. Expected {expected}. {way_on}"
            )
    for key in BY_NODE:
        for name in labels.get(key, {}):
            if len(name) > 9:
                raise HeadlightError(f"The capsule's labels name {name[:60]!r}, which is no head. {way_on}")
            parse_node(name)


def _fits(key: str, value: Any) -> bool:
    if key in TEXTS:
        return _text(value)
    if key in LISTS:
        return isinstance(value, list) and len(value) <= MOST_ENTRIES and all(map(_text, value))
    if key in BY_NODE:
        return isinstance(value, dict) and len(value) <= MOST_ENTRIES and all(map(_text, value.values()))
    return False


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_TEXT
