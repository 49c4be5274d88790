"""Reads a run from a file that ``discover`` or the app wrote (schema ``headlight/1``), as far as it is compared.

The file is only read: every value is checked for its kind, its range and its shape before it is used, and whatever
does not fit is a HeadlightError that says where.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.circuit_file import circuit_in, read_record
from engine.errors import HeadlightError
from engine.overlap import edges_by_name
from engine.patching.effects import PATCHING_STAGES
from engine.run_summary import Checked, Plain, RunSummary, Work
from engine.scores.kinds import MEASURED, Score
from engine.search import GRID_STAGE, Thresholds
from engine.settings import Algorithm

MOST_TEXT = 300
SEARCH_STAGES = frozenset((*PATCHING_STAGES, GRID_STAGE))
WAY_ON = "Give a whole run: a file that discover wrote, or “Whole run as JSON” of the app."


def read_run(content: bytes) -> RunSummary:
    """The run in a file's bytes; raises HeadlightError for anything that is not one."""
    return run_in(read_record(content))


def run_in(raw: dict[str, Any]) -> RunSummary:
    """The run a record holds, as ``read_record`` gives it."""
    file, record = circuit_in(raw), _Reader(raw, "the file")
    if len(edges_by_name(file.circuit)) != len(file.circuit.edges):
        raise HeadlightError(f"The circuit of the file lists an edge twice. {WAY_ON}")
    shape = file.circuit.n_layers, file.circuit.n_heads
    baseline, scores = record.part("baseline"), record.part("scores")
    settings = record.part("settings").plain()
    columns = shape[0], shape[1] + (settings.get("mlps") is True)  # the last is the MLPs'
    return RunSummary(
        model=file.model,
        task=file.task,
        settings=settings,
        clean=baseline.number("clean_logit_diff"),
        corrupted=baseline.number("corrupted_logit_diff"),
        accuracy=baseline.number("accuracy"),
        n=baseline.whole("n", 1, 10**9),
        scores={name: scores.matrix(name, shape) for name in _score_names(scores)},
        candidates=int(record.matrix("keep", columns).sum()),
        circuit=file.circuit,
        thresholds=_thresholds(record, settings),
        checked=_checked(record.part("verification")) if "verification" in raw else None,
        work=_work(record.part("cost"), lambda stage: True),
        search=_work(record.part("cost"), SEARCH_STAGES.__contains__),
        complete=record.flag("complete"),
        effects=record.matrix("effects", columns)[:, : shape[1]] if raw.get("effects") is not None else None,
    )


def _score_names(scores: _Reader) -> list[str]:
    """Both FLAPs, which every run has, and those of the later scores that are there."""
    always = (Score.CONTRASTIVE_FLAP, Score.FLAP)
    return [score.value for score in MEASURED if score in always or score.value in scores.value]


@dataclass(frozen=True)
class _Reader:
    """One object of a record; ``where`` names it in messages."""

    value: dict[str, Any]
    where: str

    def part(self, name: str) -> _Reader:
        return _Reader(self._get(name, dict, "an object"), name)

    def flag(self, name: str) -> bool:
        return self._get(name, bool, "true or false")

    def number(self, name: str) -> float:
        """NaN where the record has null: neither NaN nor infinity can stand in JSON."""
        value = self._get(name, (int, float, type(None)), "a number")
        return math.nan if value is None else self._finite(name, value)

    def whole(self, name: str, low: int, high: int) -> int:
        value = self._get(name, int, "a whole number")
        if not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}", value)
        return value

    def matrix(self, name: str, shape: tuple[int, int]) -> Tensor:
        """``[layer head]``; null is NaN, and true is 1."""
        rows = self._get(name, list, "a matrix")
        if len(rows) != shape[0] or any(not isinstance(row, list) or len(row) != shape[1] for row in rows):
            raise self._wrong(name, f"{shape[0]} rows of {shape[1]} numbers", f"{len(rows)} rows")
        for cell in (cell for row in rows for cell in row):
            if not isinstance(cell, (int, float, type(None))):
                raise self._wrong(name, "numbers", cell)
        return torch.tensor([[math.nan if c is None else self._finite(name, c) for c in row] for row in rows])

    def rows(self, name: str) -> list[Any]:
        return self._get(name, list, "a list")

    def plain(self) -> dict[str, Plain]:
        """All of it, where it holds nothing but single values."""
        for name, value in self.value.items():
            if not isinstance(value, (str, int, float, type(None))) or len(str(value)) > MOST_TEXT:
                raise self._wrong(name, "a single short value", value)
        return dict(self.value)

    def _finite(self, name: str, value: float) -> float:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._wrong(name, "a finite number", value)
        return number

    def _get(self, name: str, kind: type | tuple[type, ...], called: str) -> Any:
        if name not in self.value:
            raise HeadlightError(f"Expected “{name}” in {self.where}, but it is not there. {WAY_ON}")
        value = self.value[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._wrong(name, called, value)
        return value

    def _wrong(self, name: str, expected: str, got: object) -> HeadlightError:
        return HeadlightError(f"Expected {expected} for “{_short(name)}” in {self.where}, got {_short(got)}. {WAY_ON}")


def _thresholds(record: _Reader, settings: Mapping[str, Plain]) -> Thresholds | None:
    """Those of the settings, or of the grid's point taken; older files know path patching alone."""
    if settings.get("algorithm", Algorithm.PATH_PATCHING) != Algorithm.PATH_PATCHING:
        return None
    source = _Reader(dict(settings), "settings")
    if settings.get("grid") is True:
        points = record.part("grid").rows("points") if "grid" in record.value else []
        taken = [point for point in points if isinstance(point, dict) and point.get("chosen") is True]
        if not taken:
            return None
        source = _Reader(taken[0], "a point of the grid")
    return Thresholds(source.number("threshold_scale"), source.number("min_effect"))


def _checked(part: _Reader) -> Checked:
    return Checked(
        part.number("performance"), part.number("faithfulness"), part.whole("n", 1, 10**9), part.whole("seed", 0, 2**32)
    )


def _work(part: _Reader, wanted: Callable[[str], bool]) -> Work:
    stages = [part.part(name) for name in part.value if wanted(name)]
    names = ("seconds", "forward_passes", "flops")
    return Work(*(sum(stage.number(name) for stage in stages) for name in names))


def _short(value: object) -> str:
    """Quoted, printable, short."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value)[:60])
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"
