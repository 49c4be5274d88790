"""A record in two parts: JSON for what people read, arrays for the matrices.

A matrix is a list of equally long lists of numbers (null: not measured) or of truth values; wherever one stands in a
record, ``{"array": name}`` takes its place, the name telling where. Putting the arrays back gives exactly the record
that was taken apart: a number that single precision cannot hold is kept in double precision.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.record.json_values import Json, number

MARK = "array"
WHOLE = 2**53  # beyond it, a whole number is not exactly a float

Arrays = dict[str, Tensor]


def taken_apart(record: Json) -> tuple[Json, Arrays]:
    """The record without its matrices, and the matrices by name."""
    arrays: Arrays = {}
    return _without(record, "", arrays), arrays


def put_together(record: Json, arrays: Arrays) -> Json:
    """The inverse; raises HeadlightError where an array is named that is not there."""
    return _within(record, arrays)


def _without(value: Any, place: str, arrays: Arrays) -> Any:
    if isinstance(value, dict):
        if MARK in value:
            raise ValueError(f"Expected a record without the key {MARK!r}, got one at {place or 'its top'}")
        return {key: _without(each, f"{place}.{key}" if place else key, arrays) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if (array := _array(value)) is not None:
        arrays[place] = array
        return {MARK: place}
    return [_without(each, f"{place}.{index}", arrays) for index, each in enumerate(value)]


def _array(rows: list[Any]) -> Tensor | None:
    """The matrix as a tensor; None for a list that is none, or that no dtype holds exactly."""
    if not rows or not all(isinstance(row, list) and row and len(row) == len(rows[0]) for row in rows):
        return None
    kinds = {type(cell) for row in rows for cell in row}
    if kinds == {bool}:
        return torch.tensor(rows, dtype=torch.bool)
    if kinds == {int}:
        return torch.tensor(rows, dtype=torch.int64) if all(abs(c) < WHOLE for row in rows for c in row) else None
    if float not in kinds or not kinds <= {float, type(None)}:
        return None
    exact = torch.tensor([[math.nan if cell is None else cell for cell in row] for row in rows], dtype=torch.float64)
    single = exact.float()
    return single if torch.equal(single.double().nan_to_num(0), exact.nan_to_num(0)) else exact


def _within(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, list):
        return [_within(each, arrays) for each in value]
    if not isinstance(value, dict):
        return value
    if MARK not in value:
        return {key: _within(each, arrays) for key, each in value.items()}
    name = value[MARK]
    if not isinstance(name, str) or name not in arrays:
        raise HeadlightError(f"The record names the array {str(name)[:60]!r}, which is not among those kept with it.")
    array = arrays[name]
    return [[number(cell) for cell in row] for row in array.tolist()]
