"""Runs a sweep: what is finished stays finished, what is not is done, and every moment's state can be read.

1. Each model is asked for its fingerprint: a unit is known by it, so that a model of the same name that was trained
   further is another. A model that cannot be loaded fails its own units.
2. Units with a file in the sweep's folder are done; all others go to the executor, failed ones too.
3. After each outcome the unit is kept, then the sweep's state written.
4. Stopped or killed, what was kept stays, and the same call goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.errors import Cancelled, HeadlightError
from engine.executor.executor import Executor, Outcome
from engine.executor.units import DrawUnit, Unit, unit_id
from engine.progress import Preliminary, Watcher
from engine.sweep.cells import Cell, cells_of, model_units
from engine.sweep.place import Finished, SweepPlace
from engine.sweep.spec import SweepSpec
from engine.sweep.state import SweepState, SweepUnit, UnitState, read_folder

STAGE, LOADING = "sweep", "models"


def run_sweep(spec: SweepSpec, place: SweepPlace, executor: Executor, watcher: Watcher) -> SweepState:
    """What the sweep has come to, all of it done unless it was stopped or units failed.

    Raises HeadlightError where the sweep's folder cannot be used, or another process runs the sweep.
    """
    with place.held():
        board = _Board(spec, place)
        board.write()
        try:
            for outcome in executor.run(model_units(spec), Preliminary(watcher, LOADING)):
                board.identify(outcome)
            board.write()
            for outcome in executor.run(board.waiting(), Preliminary(watcher, STAGE)):
                board.take(outcome)
        except Cancelled:
            pass  # what was found by then is kept
    return board.state


def planned(spec: SweepSpec, place: SweepPlace) -> SweepState:
    """What would run, with what is known of it from before; nothing is run or written."""
    state = _kept(spec, place)
    return state or SweepState(spec.id, place.folder, spec, _fresh(cells_of(spec)), 0.0, 0.0, 0.0, 0)


class _Board:
    """Every cell of a sweep with what it has come to."""

    def __init__(self, spec: SweepSpec, place: SweepPlace) -> None:
        self._place, self._cells, now = place, cells_of(spec), time.time()
        before = _kept(spec, place)
        began = now if before is None else before.began
        units = _fresh(self._cells) if before is None else _again(before.units)
        self.state = SweepState(spec.id, place.folder, spec, units, began, now, now, 0, running=True)

    def identify(self, outcome: Outcome) -> None:
        """A model's name now means one model: what is finished of it is known."""
        model = outcome.unit.settings.model
        for index, cell in enumerate(self._cells):
            if cell.model == model and outcome.result is None:
                self._set(index, state=UnitState.FAILED, error=outcome.error)
            elif cell.model == model and outcome.result is not None:
                self._cells[index] = cell.on(outcome.result.values["fingerprint"])
                self._know(index, self._place.finished(self._cells[index].unit))

    def waiting(self) -> list[Unit]:
        """Units to do, each once: two methods may ask for the same."""
        pairs = zip(self._cells, self.state.units, strict=True)
        return list(dict.fromkeys(cell.unit for cell, unit in pairs if unit.state is UnitState.WAITING))

    def take(self, outcome: Outcome) -> None:
        """Keep what a unit came to, and tell."""
        kept, error = None, outcome.error
        if outcome.result is not None:
            error = outcome.result.values["problem"] if isinstance(outcome.unit, DrawUnit) else ""
            kept = None if error else self._place.keep(outcome.unit, outcome.result.values)
        for index in (index for index, cell in enumerate(self._cells) if cell.unit == outcome.unit):
            self._know(index, kept)
            if error:
                self._set(index, state=UnitState.FAILED, error=error)
        self.state = replace(self.state, session_done=self.state.session_done + 1)
        self.write()

    def write(self) -> None:
        self.state = replace(self.state, updated=time.time())
        self._place.write_state(self.state)

    def _know(self, index: int, kept: Finished | None) -> None:
        """The cell is done if something is kept of its unit, else it waits."""
        name = unit_id(self._cells[index].unit)
        if kept is None:
            self._set(index, unit=name, state=UnitState.WAITING, run=None, numbers={})
        else:
            self._set(index, unit=name, state=UnitState.DONE, run=kept.run, numbers=kept.numbers)

    def _set(self, index: int, **changes: Any) -> None:
        units = list(self.state.units)
        units[index] = replace(units[index], **changes)
        self.state = replace(self.state, units=tuple(units))


def _fresh(cells: Sequence[Cell]) -> tuple[SweepUnit, ...]:
    return tuple(
        SweepUnit(cell.model, cell.task, cell.method, cell.seed, cell.resample, UnitState.WAITING, None, None, {}, "")
        for cell in cells
    )


def _kept(spec: SweepSpec, place: SweepPlace) -> SweepState | None:
    """The state of an earlier session; None if there is none, or it cannot be read: then it is made again.

    Raises HeadlightError if the folder is that of another sweep.
    """
    try:
        state = read_folder(place.folder)
    except HeadlightError:
        return None
    if state.spec.id != spec.id:
        raise HeadlightError(
            f"The folder {place.folder} holds another sweep, {state.spec.id}. Choose another folder with --out."
        )
    return replace(state, spec=spec)


def _again(units: Sequence[SweepUnit]) -> tuple[SweepUnit, ...]:
    """What failed waits once more."""
    return tuple(
        replace(unit, state=UnitState.WAITING, error="") if unit.state is UnitState.FAILED else unit for unit in units
    )
