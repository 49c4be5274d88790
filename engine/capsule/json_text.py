"""JSON from strangers: bounded before it is parsed, checked after.

1. Commas and brackets are counted in the bytes: no more values than that can come of them.
2. Parsed; numbers of thousands of digits are refused.
3. Walked once: not too deep, no NaN, no infinity, and every text can be written again.
"""

from __future__ import annotations

import json
import math
from typing import Any

from engine.errors import HeadlightError

MAX_VALUES = 2_000_000
MAX_DEPTH = 40
LARGEST = 2**63  # of whole numbers
SEPARATORS = (b",", b"[", b"{")


def read_json(content: bytes, where: str, way_on: str) -> Any:
    """The value ``content`` holds; raises HeadlightError that names ``where`` and ends in ``way_on``."""
    if most_values(content) > MAX_VALUES:
        raise HeadlightError(f"{where} has more than {MAX_VALUES:,} values; no run has as many. {way_on}")
    try:
        value = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise HeadlightError(f"{where} is not a text (byte {error.start} is no UTF-8). {way_on}") from error
    except json.JSONDecodeError as error:
        raise HeadlightError(f"{where} is not JSON: {error.msg} in line {error.lineno}. {way_on}") from error
    except (ValueError, RecursionError) as error:
        raise HeadlightError(f"{where} is JSON that cannot be read: too large or too deep values. {way_on}") from error
    if (problem := _problem(value)) is not None:
        raise HeadlightError(f"{where} cannot be read: {problem}. {way_on}")
    return value


def most_values(content: bytes) -> int:
    """No more values than this, and one, can come of parsing ``content``."""
    return sum(content.count(each) for each in SEPARATORS)


def _problem(value: Any) -> str | None:
    """What is wrong with some value within, None if nothing is."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if (problem := next(filter(None, map(_wrong, level)), None)) is not None:
            return problem
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return None
    return f"its values lie more than {MAX_DEPTH} levels deep"


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    return value if isinstance(value, list) else ()


def _wrong(value: Any) -> str | None:
    if (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, int) and abs(value) > LARGEST):
        return "a number is none, or too large"
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        return "a text holds half a character"
    return None
