"""Several threads that take turns, so that each works as if it had the machine to itself.

1. One of them works, the others wait. Between chunks it hands on once it is a slice ahead of whoever has had least,
   so at any moment all have had the same time; who has weight 3 has had three times as much.
2. Each has a clock of its own (``now``), which stands while others work.
3. Threads may join and leave at any time. A newcomer is given its first turn at the next check.
4. Nothing is handed on within ``alone``: who holds a lock that the others may want says so by that, or they would
   wait for each other forever.
5. Within ``aside`` a thread takes no part: it waits for something that needs no machine (a download, a lock), and
   the others go on.
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

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within this the others work on; the clock runs. Within ``alone`` nobody may, so nothing changes."""
        yield


def take_turns(count: int, slice_seconds: float = SLICE_SECONDS) -> list[Turn]:
    """A turn for each of ``count`` threads, the first of which begins; every one must be entered and left."""
    return Line(slice_seconds).join(count)


class Line:
    """Who takes part, and who is at work. All of it is guarded by ``changed``."""

    def __init__(self, slice_seconds: float = SLICE_SECONDS) -> None:
        self.slice = slice_seconds
        self.changed = threading.Condition()
        self.members: list[_SharedTurn] = []
        self.at_work: _SharedTurn | None = None

    def join(self, count: int = 1, weight: float = 1.0) -> list[Turn]:
        """A turn for each of ``count`` more threads; every one must be entered and left."""
        with self.changed:
            start, now = self.start(), time.perf_counter()
            turns = [_SharedTurn(self, weight, now) for _ in range(count)]
            for turn in turns:
                self.admit(turn, start)
            return list(turns)

    def start(self) -> float:
        """The share of a newcomer: a slice below everybody's, so that whoever works hands on to it next."""
        return min((turn.share() for turn in self.members), default=0.0) - self.slice

    def admit(self, turn: _SharedTurn, start: float) -> None:
        """Let it take part from here on."""
        turn.begin_at(start)
        self.members.append(turn)
        self.at_work = self.at_work or turn
        for member in self.members:
            member.look_again()

    def release(self, turn: _SharedTurn) -> None:
        """Let it take part no more, and others work."""
        self.members.remove(turn)
        self.at_work = self.behind(turn)
        self.changed.notify_all()

    def behind(self, turn: _SharedTurn) -> _SharedTurn | None:
        """Of the others, the one that has had least."""
        return min((other for other in self.members if other is not turn), key=_SharedTurn.share, default=None)


class _SharedTurn(Turn):
    def __init__(self, line: Line, weight: float, now: float) -> None:
        self._line, self._weight = line, weight
        self._waiting_since: float | None = now
        self._waited = 0.0
        self._start, self._since = 0.0, now  # share and clock when it was admitted
        self._until = -math.inf  # of the own clock: before that, nobody else's turn can have come
        self._holding = 0
        self._away = False

    def __enter__(self) -> None:
        with self._line.changed:
            self._wait()

    def __exit__(self, *error: object) -> None:
        with self._line.changed:
            self._line.release(self)

    def now(self) -> float:
        with self._line.changed:
            return self.worked()

    def worked(self) -> float:
        """``now``, for who holds the line's lock. The clocks of those that joined together begin at the same value."""
        since = self._waiting_since
        return (time.perf_counter() if since is None else since) - self._waited

    def share(self) -> float:
        """What it has had of the machine beside the others, for who holds the line's lock."""
        return self._start + (self.worked() - self._since) / self._weight

    def begin_at(self, start: float) -> None:
        self._start, self._since = start, self.worked()

    def look_again(self) -> None:
        """The others have changed: compare at the next check."""
        self._until = -math.inf

    def pass_on(self) -> None:
        if self._holding or self._away or time.perf_counter() - self._waited < self._until:
            return
        line = self._line
        with line.changed:
            other = line.behind(self)
            if other is not None and self.share() >= other.share() + line.slice:
                self._waiting_since = time.perf_counter()
                line.at_work = other
                line.changed.notify_all()
                self._wait()
            else:
                self._plan(other)

    @contextmanager
    def alone(self) -> Iterator[None]:
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1

    @contextmanager
    def aside(self) -> Iterator[None]:
        if self._holding or self._away:
            yield
            return
        with self._line.changed:
            self._line.release(self)
            self._away = True
        try:
            yield
        finally:
            with self._line.changed:
                self._away = False
                self._waiting_since = time.perf_counter()
                self._line.admit(self, self._line.start())
                self._wait()

    def _wait(self) -> None:
        line = self._line
        line.changed.wait_for(lambda: line.at_work is self)
        assert self._waiting_since is not None
        self._waited += time.perf_counter() - self._waiting_since
        self._waiting_since = None
        self._plan(line.behind(self))

    def _plan(self, other: _SharedTurn | None) -> None:
        """Until when it need not look whether to hand on to ``other``, who waits and so stays where it is."""
        most = math.inf if other is None else other.share() + self._line.slice
        self._until = self._since + (most - self._start) * self._weight
