"""Long work in the background: one worker thread, and jobs that can be watched, cancelled and found again.

1. ``submit(key, work)`` queues ``work(watcher)``; the key is the frozen settings of the request, so
   asking twice (a second tab, a reload) gives the same job.
2. The worker runs one job at a time, in the order asked: the model is shared state and the machine small.
   Jobs submitted together run side by side in threads of their own, but take turns (turns.py): at any
   moment one of them works, and its clock counts that alone.
3. ``Job.cancel()`` sets a flag; the work sees it through its watcher at the next chunk and either
   raises Cancelled or returns what it has, which is kept.
4. Finished jobs stay until so many younger ones of their kind push them out, least recently used first:
   what took minutes is never pushed out by what took a second.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence

from engine.job import Job, Work
from engine.turns import SLICE_SECONDS, Turn, take_turns

OnFailure = Callable[[Hashable, str], None]


def kind_of(key: Hashable) -> Hashable:
    """The first entry of a key that is a tuple; other keys are of one kind."""
    return key[0] if isinstance(key, tuple) and key else None


class JobManager:
    """Owns the worker thread and remembers the jobs; safe to call from any thread."""

    def __init__(
        self,
        keep: int = 8,
        on_failure: OnFailure | None = None,
        keep_of: Mapping[str, int] | None = None,
        slice_seconds: float = SLICE_SECONDS,
    ) -> None:
        """``keep`` finished jobs of each kind are remembered, or as many as ``keep_of`` says of it.

        ``on_failure(key, traceback)`` runs in the thread that worked. ``slice_seconds``: see turns.py.
        """
        self._keep = keep
        self._keep_of: dict[Hashable, int] = dict((keep_of or {}).items())
        self._on_failure = on_failure
        self._slice = slice_seconds
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()  # oldest use first
        self._queue: deque[tuple[Job, ...]] = deque()
        self._running: tuple[Job, ...] = ()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="headlight-jobs", daemon=True)
        self._thread.start()

    def submit(self, key: Hashable, work: Work) -> Job:
        """The job of ``key``: the one queued, running or done, else a new one at the end of the queue."""
        return self.submit_together([(key, work)])[0]

    def submit_together(self, requests: Sequence[tuple[Hashable, Work]]) -> list[Job]:
        """``submit`` of each (key, work); those that are new begin together and take turns."""
        with self._changed:
            if self._closed:
                raise RuntimeError("Expected an open job manager, got one that was closed; make a new one.")
            new = {}
            for key, work in requests:
                known = self._jobs.get(key)
                if known is None or not known.reusable:
                    new[key] = self._jobs[key] = Job(key, work, self._place)
                self._jobs.move_to_end(key)
            if new:
                self._queue.append(tuple(new.values()))
                self._changed.notify()
            return [self._jobs[key] for key, _ in requests]

    def adopt(self, key: Hashable, result: object, seconds: float = 0.0, started: float = 0.0) -> Job:
        """A job of ``key`` that is done already: ``result`` was found before, by this program or another one.

        A job of that key that is live or can be asked again stays, and is returned; one that left nothing is replaced.
        """
        with self._changed:
            known = self._jobs.get(key)
            if known is None or not known.reusable:
                known = self._jobs[key] = Job.done(key, result, seconds, started)
                self._drop_old()
            return known

    def find(self, key: Hashable) -> Job | None:
        """The latest job of ``key``, whatever its state; None if there is none (any more)."""
        with self._changed:
            if key in self._jobs:
                self._jobs.move_to_end(key)
            return self._jobs.get(key)

    def known(self) -> tuple[Hashable, ...]:
        """The keys of all jobs remembered, least recently used first."""
        with self._changed:
            return tuple(self._jobs)

    def all(self) -> tuple[Job, ...]:
        """All jobs remembered, least recently used first; to look at them is no use."""
        with self._changed:
            return tuple(self._jobs.values())

    def forget(self, key: Hashable) -> None:
        """Drop a finished job, so that the next submit runs again; a live one is kept."""
        with self._changed:
            if key in self._jobs and not self._jobs[key].live:
                del self._jobs[key]

    def running(self) -> tuple[Job, ...]:
        """The jobs in work: none, one, or those that take turns."""
        with self._changed:
            return tuple(job for job in self._running if job.live)

    def close(self, patience: float = 0.0) -> None:
        """Cancel everything and end the worker after its current chunk; wait for that up to ``patience`` seconds."""
        with self._changed:
            self._closed = True
            jobs = [job for entry in (*self._queue, self._running) for job in entry]
            self._changed.notify()
        for job in jobs:
            job.cancel()
        self._thread.join(patience)

    def _place(self, job: Job) -> int:
        """Jobs that must finish before ``job`` can begin."""
        with self._changed:
            if not any(job in entry for entry in self._queue):
                return 0
            ahead = list(self._running)
            for entry in self._queue:
                if job in entry:
                    break
                ahead += entry
            return sum(other.live for other in ahead)

    def _serve(self) -> None:
        while jobs := self._next():
            self._work_on([job for job in jobs if job._begin()])
            with self._changed:
                self._running = ()
                self._drop_old()

    def _next(self) -> tuple[Job, ...]:
        """Wait for what is to be done next; empty once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._queue)
            self._running = () if self._closed else self._queue.popleft()
            return self._running

    def _work_on(self, jobs: Sequence[Job]) -> None:
        """One job in this thread; several each in one of its own, by turns."""
        if len(jobs) == 1:
            self._run(jobs[0], Turn())
        elif jobs:
            turns = take_turns(len(jobs), self._slice)
            threads = [
                threading.Thread(target=self._run, args=pair, name="headlight-turns", daemon=True)
                for pair in zip(jobs, turns, strict=True)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _run(self, job: Job, turn: Turn) -> None:
        log = job._run(turn)
        if log is not None and self._on_failure is not None:
            self._on_failure(job.key, log)

    def _drop_old(self) -> None:
        finished: dict[Hashable, list[Hashable]] = {}
        for key, job in self._jobs.items():
            if not job.live:
                finished.setdefault(kind_of(key), []).append(key)
        for kind, keys in finished.items():
            for key in keys[: max(0, len(keys) - self._keep_of.get(kind, self._keep))]:
                del self._jobs[key]
