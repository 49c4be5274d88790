"""How far a search is: what the Race and the table of searches show of each of theirs."""

from __future__ import annotations

from dataclasses import dataclass

from engine.discovery import Discovery
from engine.jobs.job import Job
from engine.jobs.snapshot import JobState, Snapshot
from engine.settings import Settings
from pages.shared import search_jobs


def now(settings: Settings) -> tuple[Job | None, Snapshot | None]:
    """The job of a search and where it is, for ``SearchState``."""
    job = search_jobs.search_job(settings)
    return job, job.snapshot() if job is not None else None


@dataclass(frozen=True)
class SearchState:
    """A job and its snapshot of one moment; neither where the search has not been asked for."""

    job: Job | None
    shot: Snapshot | None

    @property
    def live(self) -> bool:
        return self.shot is not None and self.shot.state.live

    @property
    def found(self) -> Discovery | None:
        """What it found, partly after a cancel; nothing while it runs."""
        return self.shot.result if self.shot is not None else None

    @property
    def done(self) -> bool:
        return self.shot is not None and self.shot.state is JobState.DONE
