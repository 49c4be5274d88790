"""Long work in the background: jobs that can be watched, cancelled and found again, in a fair order.

1. ``submit(key, work, owner)`` queues ``work(watcher)``; the key is the frozen settings of the request, so
   asking twice (a second tab, a reload, another visitor) gives the same job, which then has several owners.
2. Each device has a lane (lane.py), in which owners take turns: whoever has queued ten jobs does not hold up the
   others. Short jobs run beside long ones. Jobs submitted together run side by side and take turns.
3. ``Job.cancel()`` sets a flag; the work sees it through its watcher at the next chunk and either
   raises Cancelled or returns what it has, which is kept. ``withdraw`` cancels for one owner: the job goes on while
   another owner who is still there wants it.
4. Finished jobs stay until so many younger ones of their kind push them out, least recently used first:
   what took minutes is never pushed out by what took a second.
5. What is too much is refused: the answer is a job that has failed, with a sentence.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from engine.jobs.job import Job, Owner, Work
from engine.jobs.lane import Entry, Lane
from engine.jobs.turns import SLICE_SECONDS, Turn
from engine.machine.allocator import give_back_freed_memory

OnFailure = Callable[[Hashable, str], None]
Tell = Callable[[str, Job], None]
DEFAULT_LANE = "cpu"


@dataclass(frozen=True)
class QueueLimits:
    """How many jobs may wait, of one owner and in all."""

    each: int = 1_000
    all: int = 10_000


def kind_of(key: Hashable) -> Hashable:
    """The first entry of a key that is a tuple; other keys are of one kind."""
    return key[0] if isinstance(key, tuple) and key else None


class JobManager:
    """Owns the lanes and remembers the jobs; safe to call from any thread."""

    def __init__(
        self,
        keep: int = 8,
        on_failure: OnFailure | None = None,
        keep_of: Mapping[str, int] | None = None,
        slice_seconds: float = SLICE_SECONDS,
        short: Collection[Hashable] = (),
        limits: QueueLimits = QueueLimits(),
        is_here: Callable[[Owner], bool] = lambda owner: True,
        tell: Tell = lambda event, job: None,
    ) -> None:
        """``keep`` finished jobs of each kind are remembered, or as many as ``keep_of`` says of it.

        ``on_failure(key, traceback)`` runs in the thread that worked. ``slice_seconds``: see turns.py. ``short`` are
        the kinds of jobs that take seconds. ``is_here(owner)`` says whether somebody still waits in that name.
        ``tell(event, job)`` hears of each job that is queued, joined, started, refused and over; it must be quick.
        """
        self._keep = keep
        self._keep_of: dict[Hashable, int] = dict((keep_of or {}).items())
        self._on_failure, self._tell = on_failure, tell
        self._slice, self._short, self._limits, self._is_here = slice_seconds, short, limits, is_here
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()  # oldest use first
        self._lanes: dict[str, Lane] = {}
        self._changed = threading.Condition()
        self._closed = False

    def submit(self, key: Hashable, work: Work, owner: Owner = None, lane: str = DEFAULT_LANE) -> Job:
        """The job of ``key``: the one queued, running or done, else a new one in the queue of ``lane``."""
        return self.submit_together([(key, work)], owner, lane)[0]

    def submit_together(
        self, requests: Sequence[tuple[Hashable, Work]], owner: Owner = None, lane: str = DEFAULT_LANE
    ) -> list[Job]:
        """``submit`` of each (key, work); those that are new begin together and take turns."""
        with self._changed:
            if self._closed:
                raise RuntimeError("Expected an open job manager, got one that was closed; make a new one.")
            jobs, new = {}, []
            for key, work in requests:
                if key not in jobs and not self._has(key):
                    new.append(Job(key, work, self._place, lane, self._step))
                    self._jobs[key] = new[-1]
                jobs[key] = self._jobs[key]
                self._jobs.move_to_end(key)
            self._admit(new, owner)
            for job in jobs.values():
                if job.reusable:
                    self._own(job, owner)
            return [jobs[key] for key, _ in requests]

    def refuse(self, key: Hashable, reason: str) -> Job:
        """A job that has failed for ``reason``, unless there is one of that key."""
        with self._changed:
            if self._has(key):
                return self._jobs[key]
            job = self._jobs[key] = Job(key, None, self._place)
            self._jobs.move_to_end(key)
            self._refuse(job, reason)
            return job

    def join(self, job: Job, owner: Owner) -> None:
        """``owner`` wants a job that is there already, unless he had it and withdrew."""
        with self._changed:
            if job.live and owner not in job._withdrawn:
                self._own(job, owner)

    def leave(self, job: Job, owner: Owner) -> None:
        """``owner`` looks at something else now; he may come back to it."""
        with self._changed:
            if owner in job._owners:
                job._owners.remove(owner)
                self._reorder(job)

    def withdraw(self, job: Job, owner: Owner) -> bool:
        """Cancel for one owner; True if nobody else who is still there wants the job, so that it is cancelled."""
        with self._changed:
            if self.wanted_by_others(job, owner):
                if owner in job._owners:
                    self.leave(job, owner)
                    job._withdrawn.add(owner)
                return False
        job.cancel()
        return True

    def wanted_by_others(self, job: Job, owner: Owner) -> bool:
        """Whether an owner of it is still there, ``owner`` apart."""
        with self._changed:
            others = [other for other in job._owners if other is not None and other != owner]
        return any(self._is_here(other) for other in others)

    def owners(self, job: Job) -> tuple[Owner, ...]:
        """Whose it is; empty if nobody's in particular."""
        with self._changed:
            return tuple(owner for owner in job._owners if owner is not None)

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
        """The jobs in work, on whichever device."""
        with self._changed:
            return tuple(job for lane in self._lanes.values() for job in lane.running())

    def waiting(self) -> tuple[Job, ...]:
        """The jobs queued, of each device in the order in which they will begin."""
        with self._changed:
            return tuple(job for lane in self._lanes.values() for job in lane.waiting())

    @property
    def healthy(self) -> bool:
        """Whether what is queued will be begun."""
        with self._changed:
            return not self._closed and all(lane.healthy for lane in self._lanes.values())

    def close(self, patience: float = 0.0) -> None:
        """Cancel everything and end after the current chunks; wait for that up to ``patience`` seconds."""
        with self._changed:
            self._closed = True
            for lane in self._lanes.values():
                lane.close()
        for lane in self._lanes.values():
            lane.join(patience)

    def _has(self, key: Hashable) -> bool:
        return key in self._jobs and self._jobs[key].reusable

    def _own(self, job: Job, owner: Owner) -> None:
        if owner not in job._owners:
            job._owners.append(owner)
            self._reorder(job)
            if len(job._owners) > 1 and job.live:
                self._tell("joined", job)

    def _reorder(self, job: Job) -> None:
        if job.lane in self._lanes:
            self._lanes[job.lane].reorder()

    def _admit(self, jobs: Sequence[Job], owner: Owner) -> None:
        """Queue new jobs, or refuse them all."""
        too_many = self._too_many(owner, len(jobs))
        if jobs and not too_many:
            for job in jobs:
                job._owners.append(owner)
            self._queue(jobs)
        for job in jobs if too_many else ():
            self._refuse(job, too_many)

    def _queue(self, jobs: Sequence[Job]) -> None:
        """Put what begins together into its lane; several at once are long."""
        name = jobs[0].lane
        if name not in self._lanes:
            self._lanes[name] = Lane(name, self._changed, self._work_on, self._drop_old, self._slice)
        for job in jobs:
            self._tell("queued", job)
        short = len(jobs) == 1 and kind_of(jobs[0].key) in self._short
        self._lanes[name].put(Entry(tuple(jobs), short))

    def _too_many(self, owner: Owner, more: int) -> str:
        """Why so many more jobs may not wait; empty if they may."""
        waiting = [job for lane in self._lanes.values() for job in lane.waiting()]
        own, limits = sum(owner in job._owners for job in waiting), self._limits
        if not more:
            return ""
        if own + more > limits.each:
            return (
                f"You have {own} jobs waiting, and {limits.each} may wait for each visitor. Wait until one of them is "
                "done, or cancel one, and ask again."
            )
        if len(waiting) + more > limits.all:
            return (
                f"{len(waiting)} jobs of all visitors wait already, and no more than {limits.all} may. Ask again in a "
                "few minutes."
            )
        return ""

    def _refuse(self, job: Job, reason: str) -> None:
        job._refuse(reason)
        self._tell("refused", job)
        self._drop_old()

    def _place(self, job: Job) -> int:
        with self._changed:
            return self._lanes[job.lane].place(job) if job.lane in self._lanes else 0

    def _step(self, job: Job, aside: bool) -> None:
        with self._changed:
            self._lanes[job.lane].step(job, aside)

    def _work_on(self, job: Job, turn: Turn) -> None:
        self._tell("started", job)
        log = job._run(turn)
        give_back_freed_memory()
        self._tell("over", job)
        if log is not None and self._on_failure is not None:
            self._on_failure(job.key, log)

    def _drop_old(self) -> None:
        finished: dict[tuple[Hashable, bool], list[Hashable]] = {}
        for key, job in self._jobs.items():
            if not job.live:  # what never began pushes out nothing that was worked for
                finished.setdefault((kind_of(key), job._started is None), []).append(key)
        for (kind, _), keys in finished.items():
            for key in keys[: max(0, len(keys) - self._keep_of.get(kind, self._keep))]:
                del self._jobs[key]
