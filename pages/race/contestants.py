"""Who races: APP as the Explorer's choices have it, and dense path patching with the same thresholds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.job import Job, JobState, Snapshot
from engine.pipeline import Discovery
from engine.settings import Settings
from pages.shared import background, search_run
from pages.shared.view import View


@dataclass(frozen=True)
class Contestant:
    """``name`` is also its style and widget key."""

    name: str
    title: str
    settings: Settings

    @property
    def about(self) -> str:
        return search_run.among_words(self.settings)

    def job(self) -> Job | None:
        return background.search_job(self.settings)


@dataclass(frozen=True)
class Lane:
    """A contestant and how far it is; no snapshot where it has not been asked for."""

    contestant: Contestant
    job: Job | None
    shot: Snapshot | None

    @property
    def live(self) -> bool:
        return self.shot is not None and self.shot.state.live

    @property
    def found(self) -> Discovery | None:
        """What it found, partly after a cancel."""
        return self.shot.result if self.shot is not None else None

    @property
    def done(self) -> bool:
        return self.shot is not None and self.shot.state is JobState.DONE


def contestants(view: View) -> tuple[Contestant, Contestant]:
    """Both by path patching between heads, whatever the view asks for. With all heads chosen, APP is left its
    automatic union."""
    view = replace(view, algorithm=Settings.algorithm.value, mlps=False)
    app = replace(view, among="auto" if view.among == "all" else view.among)
    return (
        Contestant("app", "APP", app.settings()),
        Contestant("dense", "Dense", replace(view, among="all").settings()),
    )


def lanes_of(pair: tuple[Contestant, Contestant]) -> tuple[Lane, Lane]:
    """Both as they are now."""
    first, second = (Lane(each, job, job.snapshot() if job else None) for each in pair for job in [each.job()])
    return first, second
