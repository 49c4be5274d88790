"""Settings as they stand in a record, brought back: every value has the kind that its setting has."""

from __future__ import annotations

from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_type_hints

from engine.errors import HeadlightError
from engine.record.reader import Reader
from engine.settings import Settings

MOST_WHOLE = 2**63 - 1  # seeds; ranges of their own are checked by Settings


def read_settings(part: Reader) -> Settings:
    """The settings a run was made with; those from after the file was written stand at their default.

    Raises HeadlightError for settings this version does not know, and for values they cannot have.
    """
    kinds = get_type_hints(Settings)
    unknown = sorted(set(part.value) - set(kinds))
    if unknown:
        raise HeadlightError(
            f"The run has a setting {unknown[0][:40]!r} that is not known here. Open it with a newer version."
        )
    return Settings(**{name: _setting(part, name, kinds[name]) for name in part.value})


def _setting(part: Reader, name: str, kind: Any) -> Any:
    kinds = get_args(kind) or (kind,)
    if NoneType in kinds and name not in part:
        return None
    (kind,) = (each for each in kinds if each is not NoneType)
    if issubclass(kind, StrEnum):
        return part.choice(name, kind)
    if kind is bool:
        return part.flag(name)
    if kind is int:
        return part.whole(name, -MOST_WHOLE, MOST_WHOLE)
    return part.number(name) if kind is float else part.text(name)
