"""What JSON has no word for: NaN and infinity become null, in single values and in matrices."""

from __future__ import annotations

import json
import math
from typing import Any

from torch import Tensor

Json = dict[str, Any]


def number(value: Any) -> Any:
    """``value``, null where it is a float that JSON cannot hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def matrix(values: Tensor) -> list[list[float | None]]:
    """``[layer head]`` as nested lists, NaN as null."""
    return [[number(value) for value in row] for row in values.tolist()]


def dumps(record: Json) -> str:
    """Strict JSON: a NaN that slipped through is an error, not a file no one else can read."""
    return json.dumps(record, allow_nan=False, ensure_ascii=False)
