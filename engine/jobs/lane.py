"""The jobs of one device: long ones one after another, short ones beside them.

1. Two fair queues (fair_queue.py). Of the long jobs one entry is in work at a time, of the short ones too, so that
   nobody waits minutes for what takes seconds.
2. All that are in work share the device by turns (turns.py). A short job has ``SHORT_WEIGHT`` times the share of a long
   one: it goes first, but those who come with short jobs one after another do not stop a search.
3. A short job that has stepped aside, to load a model, leaves its place to the next.
4. Each job works in a thread of its own; one more thread starts them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from engine.jobs.fair_queue import FairQueue
from engine.jobs.job import Job, Owner
from engine.jobs.turns import Line, Turn

SHORT_WEIGHT = 3.0


@dataclass(frozen=True, eq=False)
class Entry:
    """Jobs that begin together and take turns; ``short`` ones take seconds."""

    jobs: tuple[Job, ...]
    short: bool

    @property
    def live(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.live)

    def owners(self) -> tuple[Owner, ...]:
        return tuple(dict.fromkeys(owner for job in self.jobs for owner in job._owners)) or (None,)


class Lane:
    """The queues and threads of one device. Everything is guarded by ``changed``, the manager's own lock."""

    def __init__(
        self,
        name: str,
        changed: threading.Condition,
        work_on: Callable[[Job, Turn], None],
        over: Callable[[], None],
        slice_seconds: float,
    ) -> None:
        """``work_on`` does a job in its thread; ``over`` is called, under the lock, when one is out of the way."""
        self.name = name
        self._changed, self._work_on, self._over = changed, work_on, over
        self._line = Line(slice_seconds)
        self._queues = {short: FairQueue[Entry](Entry.owners) for short in (False, True)}
        self._running: list[tuple[Job, bool]] = []  # with whether it is short
        self._aside: set[Job] = set()
        self._closed = False
        self._starter = threading.Thread(target=self._serve, name=f"headlight-{name}", daemon=True)
        self._starter.start()

    @property
    def healthy(self) -> bool:
        """Whether jobs are being started."""
        return self._starter.is_alive()

    def put(self, entry: Entry) -> None:
        self._queues[entry.short].put(entry)
        self._changed.notify_all()

    def reorder(self) -> None:
        """A job has other owners than before."""
        for queue in self._queues.values():
            queue.changed()

    def step(self, job: Job, aside: bool) -> None:
        """``job`` has gone aside, or come back."""
        (self._aside.add if aside else self._aside.discard)(job)
        self._changed.notify_all()

    def running(self) -> tuple[Job, ...]:
        return tuple(job for job, _ in self._running if job.live)

    def waiting(self) -> tuple[Job, ...]:
        """In the order in which they will begin, the short ones first."""
        return tuple(job for short in (True, False) for entry in self._waiting(short) for job in entry.live)

    def place(self, job: Job) -> int:
        """Jobs that are in the way of ``job`` while it waits: in work, or to begin before it."""
        for short in self._queues:
            ahead = sum(other.live for other, of_the_short in self._running if of_the_short is short)
            for entry in self._waiting(short):
                if job in entry.jobs:
                    return ahead
                ahead += len(entry.live)
        return 0

    def close(self) -> None:
        """Start nothing more, and cancel what is there."""
        self._closed = True
        for job in (*self.running(), *self.waiting()):
            job.cancel()
        self._changed.notify_all()

    def join(self, patience: float) -> None:
        """Wait for the threads of a closed lane; not to be called under the lock."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, patience)
        self._starter.join(patience)

    def _waiting(self, short: bool) -> list[Entry]:
        queue = self._queues[short]
        queue.discard(lambda entry: not entry.live)
        return queue.order()

    def _serve(self) -> None:
        while (entry := self._next()) is not None:
            jobs = [job for job in entry.jobs if job._begin()]
            with self._changed:  # those cancelled at the last moment never run
                self._running = [(job, short) for job, short in self._running if job in jobs or job not in entry.jobs]
            turns = self._line.join(len(jobs), SHORT_WEIGHT if entry.short else 1.0)
            for job, turn in zip(jobs, turns, strict=True):
                threading.Thread(target=self._do, args=(job, turn), name=_thread_name(job), daemon=True).start()

    def _next(self) -> Entry | None:
        """Wait for what can begin now; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._startable() is not None)
            short = self._startable()
            if self._closed or short is None:
                return None
            entry = self._queues[short].take()
            self._running += [(job, short) for job in entry.live]
            return entry

    def _startable(self) -> bool | None:
        """Whether a short (True) or a long entry (False) waits and has its place free; None if neither."""
        busy = {short for job, short in self._running if not (short and job in self._aside)}
        return next((short for short in (True, False) if short not in busy and self._waiting(short)), None)

    def _do(self, job: Job, turn: Turn) -> None:
        try:
            self._work_on(job, turn)
        finally:
            with self._changed:
                self._running = [pair for pair in self._running if pair[0] is not job]
                self._aside.discard(job)
                self._over()
                self._changed.notify_all()


def _thread_name(job: Job) -> str:
    kind: Hashable = job.key[0] if isinstance(job.key, tuple) and job.key else "job"
    return f"headlight-{job.lane}-{kind}"[:40]
