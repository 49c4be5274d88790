"""Several threads that take turns, so that each works as if it had the machine to itself.

1. One of them works, the others wait. Between chunks it hands on once it is a slice ahead of whoever has worked
   least, so at any moment all have had the same time.
2. Each has a clock of its own (``now``), which stands while others work.
3. Nothing is handed on within ``alone``: who holds a lock that the others may want says so by that, or they would
   wait for each other forever.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Long beside one chunk of work and what cold caches cost after a change, short for someone who watches.
SLICE_SECONDS = 0.25


class Turn:
    """The machine to oneself: nobody to wait for. Entered by the thread that works, left when it is done."""

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def now(self) -> float:
        """Seconds on this thread's own clock; may be asked from any thread."""
        return time.perf_counter()

    def pass_on(self) -> None:
        """Let others work if it is their turn; returns when it is one's own again."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within this, ``pass_on`` does nothing."""
        yield


def take_turns(count: int, slice_seconds: float = SLICE_SECONDS) -> list[Turn]:
    """A turn for each of ``count`` threads, the first of which begins; every one must be entered and left."""
    line = _Line(slice_seconds)
    line.members = [_SharedTurn(line) for _ in range(count)]
    line.at_work = line.members[0]
    return list(line.members)


class _Line:
    """Who takes part, and who is at work. All of it is guarded by ``changed``."""

    def __init__(self, slice_seconds: float) -> None:
        self.slice, self.began = slice_seconds, time.perf_counter()
        self.changed = threading.Condition()
        self.members: list[_SharedTurn] = []
        self.at_work: _SharedTurn | None = None

    def behind(self, turn: _SharedTurn) -> _SharedTurn | None:
        """Of the others, the one that has worked least."""
        return min((other for other in self.members if other is not turn), key=_SharedTurn.worked, default=None)


class _SharedTurn(Turn):
    def __init__(self, line: _Line) -> None:
        self._line = line
        self._waiting_since: float | None = line.began
        self._waited = 0.0
        self._until = -math.inf  # of the own clock: before that, nobody else's turn can have come
        self._holding = 0

    def __enter__(self) -> None:
        with self._line.changed:
            self._wait()

    def __exit__(self, *error: object) -> None:
        line = self._line
        with line.changed:
            line.at_work = line.behind(self)
            line.members.remove(self)
            line.changed.notify_all()

    def now(self) -> float:
        with self._line.changed:
            return self.worked()

    def worked(self) -> float:
        """``now``, for who holds the line's lock. All clocks of a line begin at the same value."""
        since = self._waiting_since
        return (time.perf_counter() if since is None else since) - self._waited

    def pass_on(self) -> None:
        if self._holding or time.perf_counter() - self._waited < self._until:
            return
        line = self._line
        with line.changed:
            other = line.behind(self)
            if other is None:
                self._until = math.inf
            elif self.worked() >= other.worked() + line.slice:
                self._waiting_since = time.perf_counter()
                line.at_work = other
                line.changed.notify_all()
                self._wait()

    @contextmanager
    def alone(self) -> Iterator[None]:
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1

    def _wait(self) -> None:
        line = self._line
        line.changed.wait_for(lambda: line.at_work is self)
        assert self._waiting_since is not None
        self._waited += time.perf_counter() - self._waiting_since
        self._waiting_since = None
        other = line.behind(self)
        self._until = math.inf if other is None else other.worked() + line.slice
