"""A sweep's folder: its lock, the files of finished units, the state and the table made of them.

1. ``units/<unit>.json`` is written once, when the unit is done: it is the truth, and what is there is not done again.
   A search's record is in the run store first, tagged with the sweep; a resample's result is in the file itself.
2. ``sweep.json`` and ``results.csv`` are made anew after each unit, and can always be made again.
3. Killed between the record and the file, the sweep finds the record by its tag.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import HeadlightError
from engine.executor.units import SearchUnit, Unit, plain, unit_id
from engine.machine.atomic import write_bytes
from engine.record.json_values import Json, dumps, number
from engine.store.files import read_file
from engine.store.store import RunStore
from engine.store.stored_run import summary_of
from engine.sweep.spec import spec_json
from engine.sweep.state import LOCK_FILE, NUMBERS, SCHEMA, STATE_FILE, SweepState, SweepUnit, numbers_in, sweeps_folder
from engine.version import made_with

UNIT_SCHEMA = "headlight-sweep-unit/1"
UNITS, TABLE_FILE = "units", "results.csv"
TAG = "sweep:"
PATIENCE = 2.0  # seconds for a reader to let go of the lock
COLUMNS = ("model", "task", "method", "seed", "resample", "state", *NUMBERS, "run", "error")
FORMULA = re.compile(r"^[=+@\t\r-]")  # what a spreadsheet would take for a formula


@dataclass(frozen=True)
class Finished:
    """What the file of a finished unit says."""

    run: str | None
    numbers: dict[str, float]


class SweepPlace:
    """Where one sweep is kept. Raises HeadlightError wherever its folder cannot be used."""

    def __init__(self, sweep: str, folder: Path | None = None) -> None:
        """``folder``: instead of the user's data folder; then the records are kept below it, too."""
        self.folder = folder or sweeps_folder() / sweep
        self.store = RunStore(folder)
        self.tag = f"{TAG}{sweep}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else runs this sweep meanwhile."""
        with self._told():
            (self.folder / UNITS).mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / LOCK_FILE)
            try:
                lock.acquire(timeout=PATIENCE)
            except Timeout as error:
                raise HeadlightError(
                    f"The sweep in {self.folder} is being run by another process. Wait for it, or watch it with --list."
                ) from error
        try:
            yield
        finally:
            lock.release()

    def finished(self, unit: Unit) -> Finished | None:
        """What is kept of the unit; None if it is to be done, also where its file is damaged."""
        try:
            kept = json.loads(read_file(self._path(unit)))
            if kept["schema"] == UNIT_SCHEMA and kept["unit"] == plain(unit):
                return Finished(kept["run"], numbers_in(kept["numbers"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # not there, or not what was written: done again, and written over
        return self._adopted(unit)

    def keep(self, unit: Unit, result: Json) -> Finished:
        """Record first, then the file that says the unit is done."""
        if not isinstance(unit, SearchUnit):
            return self._write(unit, None, _numbers_of_draw(result), result)
        return self._write(unit, self.store.add(result, tags=(self.tag,)), summary_of(result), None)

    def write_state(self, state: SweepState) -> None:
        with self._told():
            write_bytes((dumps(state_json(state)) + "\n").encode(), self.folder / STATE_FILE)
            write_bytes(table(state.units).encode(), self.folder / TABLE_FILE)

    def _adopted(self, unit: Unit) -> Finished | None:
        """A record that was kept just before the process was killed."""
        if not isinstance(unit, SearchUnit):
            return None
        run = self.store.find(unit.settings, unit.fingerprint)
        return None if run is None or self.tag not in run.tags else self._write(unit, run.id, run.summary, None)

    def _write(self, unit: Unit, run: str | None, numbers: dict[str, float], result: Json | None) -> Finished:
        content = {
            "schema": UNIT_SCHEMA, "unit": plain(unit), "run": run, "numbers": numbers, "result": result,
        }  # fmt: skip
        with self._told():
            write_bytes((dumps(content) + "\n").encode(), self._path(unit))
        return Finished(run, numbers)

    def _path(self, unit: Unit) -> Path:
        return self.folder / UNITS / f"{unit_id(unit)}.json"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HeadlightError(
                f"The sweep's folder {self.folder} cannot be used: {error.strerror or error}. Free or unlock it, or "
                "choose another with --out. What is finished is kept."
            ) from error


def state_json(state: SweepState) -> Json:
    """``state_of`` of engine/sweep/state.py is the inverse."""
    return {
        "schema": SCHEMA,
        "id": state.id,
        "made_with": made_with(),
        "spec": spec_json(state.spec),
        "began": state.began,
        "updated": state.updated,
        "session_began": state.session_began,
        "session_done": state.session_done,
        "complete": state.complete,
        "units": [_row(unit) for unit in state.units],
    }


def table(units: Sequence[SweepUnit]) -> str:
    """As CSV, one unit a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in map(_row, units):
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return text.getvalue()


def _row(unit: SweepUnit) -> Json:
    numbers = {name: number(unit.numbers.get(name)) for name in NUMBERS}
    return {
        "model": unit.model, "task": unit.task, "method": unit.method, "seed": unit.seed, "resample": unit.resample,
        "state": unit.state.value, "unit": unit.unit, "run": unit.run, **numbers, "error": unit.error,
    }  # fmt: skip


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _numbers_of_draw(result: Json) -> dict[str, float]:
    circuit = result["circuit"] or {"heads": [], "edges": []}
    counts: dict[str, float] = {"heads": len(circuit["heads"]), "edges": len(circuit["edges"])}
    measured = {"faithfulness": result["faithfulness"], "flops": result["flops"], "seconds": result["seconds"]}
    return counts | {name: value for name, value in measured.items() if value is not None}
