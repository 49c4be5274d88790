"""What the server tells of jobs, models and sessions: what kind, how long, whose, but no prompt and no address."""

from __future__ import annotations

import logging
from collections.abc import Hashable

from engine.jobs.job import Job
from engine.jobs.manager import kind_of
from engine.models.registry import find_card
from engine.serving.log import digest, event


def told_of(what: str, job: Job) -> None:
    """A job was queued, joined, started, refused, or is over."""
    owner = next((digest(each) for each in job._owners if each is not None), None)
    about = {"kind": str(kind_of(job.key)), "key": digest(job.key), "owner": owner, "lane": job.lane}
    if what != "over":
        event(f"job {what}", **about)
        return
    shot = job.snapshot()
    stage = shot.stage.name if shot.stage is not None else None
    event(f"job {shot.state.value}", **about, seconds=round(shot.seconds, 3), stage=stage)


def failed(key: Hashable, traceback: str) -> None:
    """A bug, with its traceback."""
    event("job broke", logging.ERROR, error=traceback, kind=str(kind_of(key)), key=digest(key))


def model(what: str, name: str, seconds: float | None = None) -> None:
    """A model was loaded or evicted."""
    shown = name if find_card(name) is not None else digest(name)  # a path may say more than is anybody's business
    event(f"model {what}", model=shown, seconds=None if seconds is None else round(seconds, 3))


def session(owner: Hashable, sessions: int) -> None:
    """Somebody has opened the first page of a tab; ``sessions`` are connected now."""
    event("session began", owner=digest(owner), sessions=sessions)
