"""Who does units of work: the interface, and the one that needs nothing, this process.

1. ``run`` takes units and gives back each with its result, in any order.
2. What a unit cannot do is its own outcome, in words; the other units go on.
3. A stopped run raises Cancelled; outcomes given back before stand.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.errors import Cancelled, HeadlightError
from engine.executor.units import Unit
from engine.notes.journal import Chunk
from engine.progress import Preliminary, Watcher
from engine.search.stops import STAGE as SEARCH

STAGE = "units"
MOST_OF_A_UNIT = 0.95  # what a unit's own progress may come to before its result is there

Perform = Callable[[Unit, Watcher], Chunk]


@dataclass(frozen=True, eq=False)
class Outcome:
    """``result`` is None where the unit could not be done; ``error`` says why, ``lost`` that its workers died."""

    unit: Unit
    result: Chunk | None
    error: str = ""
    lost: bool = False


class Executor(Protocol):
    """Does units somewhere."""

    @property
    def workers(self) -> int:
        """How many units are done at once."""
        ...

    def run(self, units: Sequence[Unit], watcher: Watcher) -> Iterator[Outcome]:
        """Each unit once, in any order; raises Cancelled when stopped."""
        ...

    def close(self) -> None:
        """End what was started for it."""
        ...


class LocalExecutor:
    """One unit after another, in the calling thread."""

    workers = 1

    def __init__(self, perform: Perform) -> None:
        """``perform``: as a rule ``Bench().perform`` of engine/executor/perform.py."""
        self._perform = perform

    def run(self, units: Sequence[Unit], watcher: Watcher) -> Iterator[Outcome]:
        watcher.step(STAGE, 0, len(units))
        for done, unit in enumerate(units):
            yield attempt(unit, self._perform, _Within(watcher, done, len(units)))
            watcher.step(STAGE, done + 1, len(units))

    def close(self) -> None:
        """Nothing was started."""


def attempt(unit: Unit, perform: Perform, watcher: Watcher) -> Outcome:
    """The unit's outcome, whatever comes of it but a cancel: one unit's failure must not take others with it."""
    try:
        return Outcome(unit, perform(unit, watcher))
    except Cancelled:
        raise
    except HeadlightError as error:
        return Outcome(unit, None, str(error))
    except Exception as error:  # told in full with the unit it belongs to
        return Outcome(unit, None, _unexpected(error))


def _unexpected(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"The unit failed with {type(error).__name__}: {error} (line {place.lineno} of {place.name}). If memory was "
        "short, give a memory budget; else report it."
    )


class _Within(Preliminary):
    """One unit's progress as its share of all; told stage by stage, so it only ever goes up within a stage."""

    def __init__(self, watcher: Watcher, done: int, total: int) -> None:
        super().__init__(watcher, STAGE)
        self._done, self._total, self._share = done, total, 0.0

    def report(self, stage: str, done: float, total: float) -> None:
        share = MOST_OF_A_UNIT * done / total if stage == SEARCH and total else 0.0
        self._share = max(self._share, share)
        self._watcher.report(STAGE, self._done + self._share, self._total)
