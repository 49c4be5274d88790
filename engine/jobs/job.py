"""One piece of background work: what it reports while it runs, and how it is stopped.

``JobManager`` (manager.py) makes and runs jobs; everyone else reads ``Job.snapshot()`` (snapshot.py), never the
job's own moving parts.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.circuit import Circuit
from engine.errors import Cancelled, HeadlightError
from engine.jobs.snapshot import JobState, Snapshot, StageProgress
from engine.jobs.turns import Turn
from engine.machine.out_of_memory import told_when_memory_runs_out
from engine.progress import Watcher

if TYPE_CHECKING:  # a job need not load torch
    from engine.cost.ledger import CostRow
    from engine.search.path_patching import SearchStep

Work = Callable[[Watcher], Any]
Owner = Hashable  # who asked for a job: a visitor's browser, say; None is nobody in particular


@dataclass
class _Clock:
    """One stage while it runs; times are of the job's own clock."""

    name: str
    done: float
    total: float
    began: float
    latest: float


@dataclass(eq=False)
class Job:
    """One piece of work and how far it is. Made by JobManager; read through ``snapshot``.

    ``lane`` is the device it works on. ``_stepped`` is told when it goes aside (True) and comes back. ``_owners``,
    and those who were owners and left, ``_withdrawn``, are the manager's: it guards them.
    """

    key: Hashable
    _work: Work | None = field(repr=False)
    _place: Callable[[Job], int] = field(repr=False)
    lane: str = "cpu"
    _stepped: Callable[[Job, bool], None] = field(default=lambda job, aside: None, repr=False)
    _owners: list[Owner] = field(default_factory=list, repr=False)
    _withdrawn: set[Owner] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _over: threading.Event = field(default_factory=threading.Event, repr=False)
    _state: JobState = JobState.QUEUED
    _stages: list[_Clock] = field(default_factory=list, repr=False)
    _turn: Turn = field(default_factory=Turn, repr=False)
    _started: float | None = None
    _ended: float | None = None
    _began: float = 0.0
    _stopped: float | None = None
    _circuit: Circuit | None = field(default=None, repr=False)
    _steps: tuple[SearchStep, ...] = field(default=(), repr=False)
    _flops: float = 0.0
    _predicted: tuple[CostRow, ...] = field(default=(), repr=False)
    _result: Any = field(default=None, repr=False)
    _error: str | None = None
    _log: str | None = field(default=None, repr=False)

    @staticmethod
    def done(key: Hashable, result: Any, seconds: float, started: float) -> Job:
        """One that needs no work any more; it took ``seconds``, from ``started`` (time.time) on."""
        job = Job(key, None, lambda job: 0)
        job._state, job._result = JobState.DONE, result
        job._started, job._ended = started, started + seconds
        job._stopped = job._began + seconds
        job._over.set()
        return job

    def snapshot(self) -> Snapshot:
        place = self._place(self)
        with self._lock:
            now = self._stopped if self._stopped is not None else self._turn.now()
            stages = [
                StageProgress(clock.name, clock.done, clock.total, clock.latest - clock.began) for clock in self._stages
            ]
            return Snapshot(
                self.key, self._state, place if self._state is JobState.QUEUED else 0, tuple(stages), self._started,
                self._ended, now - self._began if self._started is not None else 0.0,
                self._stop.is_set() and self._state.live, self._circuit, self._steps, self._flops, self._predicted,
                self._result, self._error, self._log,
            )  # fmt: skip

    def cancel(self) -> None:
        """Ask to stop; a job that has not begun is cancelled at once, a finished one is left as it is."""
        with self._lock:
            self._stop.set()
            if self._state is JobState.QUEUED:
                self._finish(JobState.CANCELLED)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the job is over; False if ``timeout`` seconds passed first."""
        return self._over.wait(timeout)

    @property
    def reusable(self) -> bool:
        """Whether asking for the same thing again should be answered with this job."""
        with self._lock:
            stopping = self._stop.is_set() and self._state.live
            return self._state not in (JobState.FAILED, JobState.CANCELLED) and not stopping

    @property
    def live(self) -> bool:
        return self._state.live

    @property
    def was_refused(self) -> bool:
        """Whether it was too much when it was asked for, and so never began."""
        with self._lock:
            return self._state is JobState.FAILED and self._started is None

    def _finish(self, state: JobState) -> None:
        self._state = state
        self._stopped, self._ended = self._turn.now(), time.time()
        self._work = None  # it may hold on to what takes room
        self._over.set()

    def _refuse(self, reason: str) -> None:
        """Never begun, and failed for ``reason``."""
        with self._lock:
            self._error = reason
            self._finish(JobState.FAILED)

    def _begin(self) -> bool:
        """Mark the job as running; False if it was cancelled while it waited."""
        with self._lock:
            if self._state is not JobState.QUEUED:
                return False
            self._state = JobState.RUNNING
            self._started = time.time()
            self._began = self._turn.now()
            return True

    def _run(self, turn: Turn) -> str | None:
        """Do the work in the calling thread, whenever it is its turn; returns the traceback of a failure."""
        with self._lock:
            self._turn, self._began = turn, turn.now()
        with turn:
            self._do()
        return self._log

    def _do(self) -> None:
        watcher, work = _JobWatcher(self), self._work
        assert work is not None, "a job runs once"
        try:
            with told_when_memory_runs_out():
                result = work(watcher)
        except Cancelled:
            self._end(JobState.CANCELLED)
        except HeadlightError as error:
            self._end(JobState.FAILED, error=str(error))
        except BaseException as error:  # the thread's border: nothing may kill the worker
            reason = f"Something in the program went wrong ({type(error).__name__}). The log has the details."
            self._end(JobState.FAILED, error=reason, log=traceback.format_exc())
        else:
            self._end(JobState.CANCELLED if watcher.noticed else JobState.DONE, result=result)

    def _end(self, state: JobState, result: Any = None, error: str | None = None, log: str | None = None) -> None:
        with self._lock:
            self._result, self._error, self._log = result, error, log
            self._finish(state)

    def _report(self, stage: str, done: float, total: float) -> None:
        now = self._turn.now()
        with self._lock:
            if not self._stages or self._stages[-1].name != stage:
                began = self._stages[-1].latest if self._stages else self._began
                self._stages.append(_Clock(stage, done, total, began, now))
            clock = self._stages[-1]
            clock.done, clock.total, clock.latest = done, total, now


class _JobWatcher(Watcher):
    """Writes what the work reports into its job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.noticed = False  # the work was told to stop: what it returns is partial

    def report(self, stage: str, done: float, total: float) -> None:
        self._job._report(stage, done, total)
        self._job._turn.pass_on()

    def found(self, circuit: Circuit) -> None:
        with self._job._lock:
            self._job._circuit = circuit

    def predicted(self, rows: Sequence[CostRow]) -> None:
        with self._job._lock:
            self._job._predicted = tuple(rows)

    def spend(self, flops: float) -> None:
        with self._job._lock:
            self._job._flops += flops
        self.check()

    def now(self) -> float:
        return self._job._turn.now()

    def alone(self) -> AbstractContextManager[None]:
        return self._job._turn.alone()

    @contextmanager
    def aside(self) -> Iterator[None]:
        job = self._job
        with job._turn.aside():
            job._stepped(job, True)
            try:
                yield
            finally:
                job._stepped(job, False)

    def walked(self, steps: tuple[SearchStep, ...]) -> None:
        with self._job._lock:
            self._job._steps = steps

    def cancelled(self) -> bool:
        self._job._turn.pass_on()
        self.noticed = self.noticed or self._job._stop.is_set()
        return self.noticed
