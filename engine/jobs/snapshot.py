"""A job as everyone but its manager sees it: plain frozen values."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a job need not load torch
    from engine.circuit import Circuit
    from engine.cost.ledger import CostRow
    from engine.search.path_patching import SearchStep


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def live(self) -> bool:
        """Still to change by itself."""
        return self in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class StageProgress:
    """One stage of a job: ``done`` of ``total`` units after ``seconds``."""

    name: str
    done: float
    total: float
    seconds: float

    @property
    def fraction(self) -> float:
        """Between 0 and 1."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimate from this stage's own speed; None before anything is done."""
        return self.seconds * (1 - self.fraction) / self.fraction if self.fraction > 0 else None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A job at one moment.

    ``place`` is the number of jobs that will begin before it or are in its way (0 once it runs). ``seconds`` are
    those it worked, without those it left to jobs it takes turns with; ``started`` and ``ended`` are times of day
    (time.time).
    ``result`` is set when done, and after a cancel if the work returned what it had; ``circuit`` and
    ``steps`` are the latest reported, ``flops`` what the run has booked, ``predicted`` what the whole of it will
    probably take, by stage. ``error`` is a text for people; ``log`` the full traceback of a bug, for whoever keeps
    the machine.
    """

    key: Hashable
    state: JobState
    place: int
    stages: tuple[StageProgress, ...]
    started: float | None
    ended: float | None
    seconds: float
    cancelling: bool
    circuit: Circuit | None
    steps: tuple[SearchStep, ...]
    flops: float
    predicted: tuple[CostRow, ...]
    result: Any
    error: str | None
    log: str | None

    @property
    def stage(self) -> StageProgress | None:
        """The current (or last) stage."""
        return self.stages[-1] if self.stages else None

    @property
    def share(self) -> float | None:
        """How much of the whole is done, 0 to 1: of the work predicted, else of the stage; None before either."""
        whole = sum(row.flops for row in self.predicted)
        if whole:
            return min(self.flops / whole, 1.0)
        return self.stage.fraction if self.stage is not None else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the work left, on the job's own clock: of all that is known to come, the stage else."""
        if not self.predicted:
            return self.stage.seconds_left if self.stage is not None else None
        return sum(row.seconds for row in self.predicted) * (1 - (self.share or 0.0))
