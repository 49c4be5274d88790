"""What a sweep has come to, read from its folder while it runs or afterwards.

1. A sweep lies in ``sweeps/<id>`` of the user's data folder, or wherever ``--out`` put it.
2. ``sweep.json`` has the spec and the state of every unit; it is replaced as a whole after each.
3. A process that runs the sweep holds ``lock``: without it, what is not finished was stopped.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from engine.errors import HeadlightError
from engine.record.json_values import Json
from engine.store.files import read_file
from engine.store.home import home
from engine.sweep.spec import SweepSpec, spec_of

SCHEMA = "headlight-sweep/1"
SUBFOLDER, STATE_FILE, LOCK_FILE = "sweeps", "sweep.json", "lock"
ID = re.compile(r"[0-9a-f]{12}")
MOST_BYTES = 20_000_000
NUMBERS = ("heads", "edges", "performance", "faithfulness", "accuracy", "seconds", "flops")
WAY_ON = "Run the sweep again: what it has finished is kept."


class UnitState(StrEnum):
    """``waiting`` units are done when the sweep goes on, ``failed`` ones tried again."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class SweepUnit:
    """One run of a sweep. ``run``: its id in the run store; None for a resample, and before it is done.

    ``numbers``: those of ``NUMBERS`` that were measured. ``error``: why it failed.
    """

    model: str
    task: str
    method: str
    seed: int
    resample: int | None
    state: UnitState
    unit: str | None
    run: str | None
    numbers: dict[str, float]
    error: str


@dataclass(frozen=True)
class SweepState:
    """A sweep. Times in seconds since 1970; ``running``: a process holds it at this moment.

    ``session_began``, ``session_done``: when it was last begun or gone on with, and the units finished since.
    """

    id: str
    folder: Path
    spec: SweepSpec
    units: tuple[SweepUnit, ...]
    began: float
    updated: float
    session_began: float
    session_done: int
    running: bool = False

    def count(self, state: UnitState) -> int:
        return sum(unit.state is state for unit in self.units)

    @property
    def complete(self) -> bool:
        """Whether every unit is done."""
        return self.count(UnitState.DONE) == len(self.units)

    @property
    def progress(self) -> float:
        """Share of the units done, 0 to 1."""
        return self.count(UnitState.DONE) / len(self.units)

    @property
    def seconds_left(self) -> float | None:
        """By what the units of this session took; None before the first, and where nothing is running."""
        if not self.running or not self.session_done:
            return None
        spent = max(0.0, self.updated - self.session_began)
        return self.count(UnitState.WAITING) * spent / self.session_done


def sweeps_folder() -> Path:
    return home() / SUBFOLDER


def list_sweeps() -> list[SweepState]:
    """Those in the user's data folder, the last changed first; what cannot be read is left out."""
    folder, found = sweeps_folder(), []
    try:
        names = [path.name for path in folder.iterdir() if ID.fullmatch(path.name)] if folder.is_dir() else []
    except OSError as error:
        raise HeadlightError(f"The sweeps in {folder} cannot be read: {error.strerror}. Unlock the folder.") from error
    for name in names:
        try:
            found.append(read_sweep(name))
        except HeadlightError:
            continue  # damaged, or only just begun: asked for by its id, it says so
    return sorted(found, key=lambda state: (-state.updated, state.id))


def read_sweep(sweep: str) -> SweepState:
    """By id; raises HeadlightError for one that is not there or cannot be read."""
    if not ID.fullmatch(sweep):
        raise HeadlightError(f"Expected the id of a sweep, 12 digits from 0 to f, got {sweep[:40]!r}.")
    return read_folder(sweeps_folder() / sweep)


def read_folder(folder: Path) -> SweepState:
    """The sweep that lies in ``folder``; raises HeadlightError if none does."""
    path = folder / STATE_FILE
    try:
        content = read_file(path)
    except OSError as error:
        raise HeadlightError(f"There is no sweep to read in {folder}: {error.strerror or error}. {WAY_ON}") from error
    try:
        if len(content) > MOST_BYTES:
            raise ValueError(f"it has {len(content) / 1e6:.0f} MB")
        return state_of(json.loads(content), folder, is_running(folder))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise HeadlightError(f"{path} is damaged ({_told(error)}). {WAY_ON}") from error


def state_of(values: Json, folder: Path, running: bool) -> SweepState:
    """Raises ValueError, KeyError or TypeError for what ``state_json`` did not write."""
    if values["schema"] != SCHEMA:
        raise ValueError(f"schema {str(values['schema'])[:40]!r}, expected {SCHEMA}")
    units = tuple(_unit_of(each) for each in values["units"])
    spec = spec_of(values["spec"])
    if len(units) != spec.size:
        raise ValueError(f"{len(units)} units, expected {spec.size}")
    began, updated, session = (_time(values[name]) for name in ("began", "updated", "session_began"))
    return SweepState(spec.id, folder, spec, units, began, updated, session, _count(values["session_done"]), running)


def _unit_of(values: Json) -> SweepUnit:
    return SweepUnit(
        model=_text(values["model"]),
        task=_text(values["task"]),
        method=_text(values["method"]),
        seed=_count(values["seed"]),
        resample=None if values["resample"] is None else _count(values["resample"]),
        state=UnitState(values["state"]),
        unit=None if values["unit"] is None else _text(values["unit"]),
        run=None if values["run"] is None else _text(values["run"]),
        numbers=numbers_in(values),
        error=_text(values["error"]),
    )


def is_running(folder: Path) -> bool:
    """Whether a process holds the sweep."""
    if not (folder / LOCK_FILE).is_file():
        return False
    try:
        with FileLock(folder / LOCK_FILE, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written cannot be running
        return False


def numbers_in(values: Json) -> dict[str, float]:
    """Those of ``NUMBERS`` that are there; counts stay whole."""
    found = {name: values[name] for name in NUMBERS if values.get(name) is not None}
    wrong = [value for value in found.values() if type(value) not in (int, float)]
    if wrong:
        raise TypeError(f"expected a number, got {str(wrong[0])[:40]!r}")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {str(value)[:40]!r}")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"expected a count, got {str(value)[:40]!r}")
    return value


def _time(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError("a time that is none")
    return float(value)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
