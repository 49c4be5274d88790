"""How long work reports itself and is stopped.

Stages call a watcher between chunks; the watcher is the only channel to the outside, so the
engine prints nothing and knows no user interface.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from engine.errors import Cancelled

if TYPE_CHECKING:  # a command line that only prints its help need not load torch
    from collections.abc import Sequence

    from engine.circuit import Circuit
    from engine.cost.ledger import CostRow
    from engine.search.path_patching import SearchStep


class Watcher:
    """Does nothing; subclass to show progress or to cancel.

    Methods are called from the working thread, often, and must return quickly.
    """

    def report(self, stage: str, done: float, total: float) -> None:
        """``done`` of ``total`` units of ``stage`` are finished."""

    def found(self, circuit: Circuit) -> None:
        """The circuit as far as the search has come."""

    def walked(self, steps: tuple[SearchStep, ...]) -> None:
        """The search's steps so far; told with ``found``."""

    def predicted(self, rows: Sequence[CostRow]) -> None:
        """What the whole run will probably take, by stage; told before the search."""

    def cancelled(self) -> bool:
        """True once the work should stop at the next chunk."""
        return False

    def step(self, stage: str, done: float, total: float) -> None:
        """Report, then raise Cancelled if asked to stop: the call to make between chunks."""
        self.report(stage, done, total)
        self.check()

    def check(self) -> None:
        """Raise Cancelled if asked to stop; cheap enough to call within every layer.

        The thread may rest here while another works, so hold no lock but within ``alone``.
        """
        if self.cancelled():
            raise Cancelled

    def spend(self, flops: float) -> None:
        """``flops`` of the run are booked, piece by piece; otherwise like ``check``."""
        self.check()

    def now(self) -> float:
        """Seconds on the clock that the work is timed by; it stands while this thread rests."""
        return time.perf_counter()

    def alone(self) -> AbstractContextManager[None]:
        """Within this the thread does not rest."""
        return nullcontext()

    def aside(self) -> AbstractContextManager[None]:
        """Within this the thread waits for what needs no machine, a download or a lock, and others work."""
        return nullcontext()


class Preliminary(Watcher):
    """Passes progress on under another stage's name, and no circuit: what it watches is not the result."""

    def __init__(self, watcher: Watcher, stage: str) -> None:
        self._watcher, self._stage = watcher, stage

    def report(self, stage: str, done: float, total: float) -> None:
        self._watcher.report(self._stage, done, total)

    def cancelled(self) -> bool:
        return self._watcher.cancelled()

    def spend(self, flops: float) -> None:
        self._watcher.spend(flops)

    def now(self) -> float:
        return self._watcher.now()

    def alone(self) -> AbstractContextManager[None]:
        return self._watcher.alone()

    def aside(self) -> AbstractContextManager[None]:
        return self._watcher.aside()
