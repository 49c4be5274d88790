"""Values of a record, taken out one by one: each is checked for its kind, its range and its shape.

A record may have come from anywhere. What does not fit is a HeadlightError that says where, what was expected and
what was got. Numbers come back as they stand in the file: a whole one stays whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.nodes import Mlp, Node, check_node, parse_node

Plain = str | int | float | bool | None
Choice = TypeVar("Choice", bound=StrEnum)

MOST_TEXT = 300
MOST_NAME = 9  # of a node: m and a layer, or a layer and an index
MOST_COUNT = 10**9
WHOLE = 2**53  # beyond it, a whole number is not exactly a float
WAY_ON = "Give a whole run: a file that discover wrote, or “Whole run as JSON” of the app."


@dataclass(frozen=True)
class Reader:
    """One object of a record; ``where`` names it in messages."""

    value: Mapping[str, Any]
    where: str

    def __contains__(self, name: str) -> bool:
        """Whether it is there and is not null."""
        return self.value.get(name) is not None

    def part(self, name: str) -> Reader:
        return Reader(self._get(name, dict, "an object"), name)

    def parts(self, name: str) -> list[Reader]:
        """A list of objects."""
        rows = self.rows(name)
        for row in rows:
            if not isinstance(row, dict):
                raise self.wrong(name, "a list of objects", row)
        return [Reader(row, f"{name} {place}") for place, row in enumerate(rows, start=1)]

    def flag(self, name: str) -> bool:
        return self._get(name, bool, "true or false")

    def number(self, name: str) -> float:
        """NaN where the record has null: neither NaN nor infinity can stand in JSON."""
        value = self._get(name, (int, float, type(None)), "a number")
        return math.nan if value is None else self._finite(name, value)

    def numbers(self, name: str, count: int) -> list[float]:
        """So many numbers; null is NaN."""
        values = self.rows(name)
        for value in values:
            if not _is_number(value) and value is not None:
                raise self.wrong(name, "numbers", value)
        if len(values) != count:
            raise self.wrong(name, f"{count} numbers", f"{len(values)} of them")
        return [math.nan if value is None else self._finite(name, value) for value in values]

    def whole(self, name: str, low: int = 0, high: int = MOST_COUNT) -> int:
        value = self._get(name, int, "a whole number")
        return self._within(name, value, low, high)

    def wholes(self, name: str, low: int = 0, high: int = MOST_COUNT) -> tuple[int, ...]:
        """A list of whole numbers, however many."""
        return tuple(self._whole(name, value, low, high) for value in self.rows(name))

    def lists_of_wholes(self, name: str, low: int = 0, high: int = MOST_COUNT) -> list[tuple[int, ...]]:
        """A list of lists of whole numbers."""
        rows = self.rows(name)
        for row in rows:
            if not isinstance(row, list):
                raise self.wrong(name, "a list of lists", row)
        return [tuple(self._whole(name, value, low, high) for value in row) for row in rows]

    def text(self, name: str, most: int = MOST_TEXT) -> str:
        return self._text(name, self._get(name, str, "a text"), most)

    def texts(self, name: str, most: int = MOST_TEXT) -> tuple[str, ...]:
        """A list of texts, however many."""
        return tuple(self._text(name, value, most) for value in self.rows(name))

    def choice(self, name: str, kind: type[Choice]) -> Choice:
        """One of the values ``kind`` names."""
        value = self._get(name, str, "a text")
        if value not in [each.value for each in kind]:
            raise self.wrong(name, f"one of {', '.join(each.value for each in kind)}", value)
        return kind(value)

    def matrix(self, name: str, shape: tuple[int, int]) -> Tensor:
        """``[layer head]``, single precision; null is NaN."""
        rows = self._cells(name, shape, "numbers", lambda cell: cell is None or _is_number(cell))
        values = torch.tensor([[math.nan if c is None else float(self._finite(name, c)) for c in row] for row in rows])
        if values.isinf().any():
            raise self.wrong(name, "numbers of single precision", "a larger one")
        return values

    def mask(self, name: str, shape: tuple[int, int]) -> Tensor:
        """``[layer head]`` of true and false."""
        return torch.tensor(self._cells(name, shape, "true and false", lambda cell: isinstance(cell, bool)))

    def nodes(self, name: str, n_layers: int, n_heads: int, mlps: bool) -> tuple[Node, ...]:
        """Heads by name, and MLPs where these are nodes, in the order given."""
        found = tuple(
            check_node(parse_node(text), n_layers, n_heads) for text in self.texts(name, most=MOST_NAME)
        )
        if not mlps and any(isinstance(node, Mlp) for node in found):
            raise self.wrong(name, "heads alone", ", ".join(map(str, found)))
        return found

    def rows(self, name: str) -> list[Any]:
        return self._get(name, list, "a list")

    def plain(self) -> dict[str, Plain]:
        """All of it, where it holds nothing but single values."""
        for name, value in self.value.items():
            if not isinstance(value, (str, int, float, type(None))) or len(str(value)) > MOST_TEXT:
                raise self.wrong(name, "a single short value", value)
        return dict(self.value)

    def wrong(self, name: str, expected: str, got: object) -> HeadlightError:
        return HeadlightError(f"Expected {expected} for {short(name)} in {self.where}, got {short(got)}. {WAY_ON}")

    def _cells(self, name: str, shape: tuple[int, int], called: str, fits: Any) -> list[list[Any]]:
        rows = self._get(name, list, "a matrix")
        if len(rows) != shape[0] or any(not isinstance(row, list) or len(row) != shape[1] for row in rows):
            raise self.wrong(name, f"{shape[0]} rows of {shape[1]} {called}", f"{len(rows)} rows")
        for cell in (cell for row in rows for cell in row):
            if not fits(cell):
                raise self.wrong(name, called, cell)
        return rows

    def _text(self, name: str, value: Any, most: int) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise self.wrong(name, f"a text of up to {most:,} letters", value)
        return value

    def _whole(self, name: str, value: Any, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "whole numbers", value)
        return self._within(name, value, low, high)

    def _within(self, name: str, value: int, low: int, high: int) -> int:
        if not low <= value <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}", value)
        return value

    def _finite(self, name: str, value: float) -> float:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.wrong(name, "a finite number", value)
        return value if abs(number) < WHOLE else number

    def _get(self, name: str, kind: type | tuple[type, ...], called: str) -> Any:
        if name not in self.value:
            raise HeadlightError(f"Expected “{name}” in {self.where}, but it is not there. {WAY_ON}")
        value = self.value[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(name, called, value)
        return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def short(value: object) -> str:
    """Quoted, printable, short."""
    try:
        words = str(value)
    except ValueError:  # a whole number of thousands of digits
        words = "a number too long to write"
    text = "".join(letter if letter.isprintable() else "?" for letter in words[:60])
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"
