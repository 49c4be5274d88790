"""Long work in the background: one worker thread, and jobs that can be watched, cancelled and found again.

1. ``submit(key, work)`` queues ``work(watcher)``; the key is the frozen settings of the request, so
   asking twice (a second tab, a reload) gives the same job.
2. The worker runs one job at a time, in the order asked: the model is shared state and the machine small.
3. ``Job.cancel()`` sets a flag; the work sees it through its watcher at the next chunk and either
   raises Cancelled or returns what it has, which is kept.
4. Finished jobs stay until ``keep`` younger ones push them out, least recently used first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from engine.job import Job, Work

OnFailure = Callable[[Hashable, str], None]


class JobManager:
    """Owns the worker thread and remembers the jobs; safe to call from any thread."""

    def __init__(self, keep: int = 8, on_failure: OnFailure | None = None) -> None:
        """``keep`` finished jobs are remembered; ``on_failure(key, traceback)`` runs in the worker thread."""
        self._keep = keep
        self._on_failure = on_failure
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()  # oldest use first
        self._queue: deque[Job] = deque()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="headlight-jobs", daemon=True)
        self._thread.start()

    def submit(self, key: Hashable, work: Work) -> Job:
        """The job of ``key``: the one queued, running or done, else a new one at the end of the queue."""
        with self._changed:
            if self._closed:
                raise RuntimeError("Expected an open job manager, got one that was closed; make a new one.")
            known = self._jobs.get(key)
            if known is not None and known.reusable:
                self._jobs.move_to_end(key)
                return known
            job = Job(key, work, self._place)
            self._jobs[key] = job
            self._jobs.move_to_end(key)
            self._queue.append(job)
            self._changed.notify()
            return job

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

    def forget(self, key: Hashable) -> None:
        """Drop a finished job, so that the next submit runs again; a live one is kept."""
        with self._changed:
            if key in self._jobs and not self._jobs[key].live:
                del self._jobs[key]

    def running(self) -> Job | None:
        """The job in work, if any."""
        with self._changed:
            return self._running

    def close(self, patience: float = 0.0) -> None:
        """Cancel everything and end the worker after its current chunk; wait for that up to ``patience`` seconds."""
        with self._changed:
            self._closed = True
            jobs = [*self._queue, *([self._running] if self._running else [])]
            self._changed.notify()
        for job in jobs:
            job.cancel()
        self._thread.join(patience)

    def _place(self, job: Job) -> int:
        with self._changed:
            ahead = [other for other in self._queue if other.live]
            return ahead.index(job) + (self._running is not None) if job in ahead else 0

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            if job._begin():
                log = job._run()
                if log is not None and self._on_failure is not None:
                    self._on_failure(job.key, log)
            with self._changed:
                self._running = None
                self._drop_old()

    def _next(self) -> Job | None:
        """Wait for the next job to do; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._queue)
            if self._closed:
                return None
            self._running = self._queue.popleft()
            return self._running

    def _drop_old(self) -> None:
        finished = [key for key, job in self._jobs.items() if not job.live]
        for key in finished[: max(0, len(finished) - self._keep)]:
            del self._jobs[key]
