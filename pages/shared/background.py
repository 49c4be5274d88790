"""What runs behind the pages: one job manager, the model in memory, and the requests pages make.

Jobs are found by their settings, so a reload, a second tab or a link shows the same run. A page that turns
to other settings withdraws what it had started by itself (``follow``), unless someone else follows it.

Here are the requests about a model and its prompts; search_jobs.py has searches, verification_jobs.py what judges them.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine.job import Job
from engine.jobs import JobManager
from engine.settings import Settings
from pages.shared import work
from pages.shared.kept import Kept
from pages.shared.model_shelf import ModelShelf
from pages.shared.work import data_of

if TYPE_CHECKING:
    from engine.prepare import Prepared
    from engine.scores.kinds import Score, Source

KEPT_GLANCES = 60
KEPT_JOBS = 6  # of a kind
# Searches take long and little room, as do receipts; prompts that have run take much of it.
KEPT_OF = {"search": 16, "ready": 4, "receipt": 60}
LAST_CHUNK_SECONDS = 5.0
# What pages start by themselves, of a model and its prompts.
STARTED_BY_PAGES = ("ready", "curve", "sweep", "band", "enough")


class Followers:
    """Which settings each browser session looks at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, Hashable] = {}

    def move(self, session: str, key: Hashable) -> Hashable | None:
        """Note what ``session`` looks at now; returns what nobody looks at any more, if that is so."""
        with self._lock:
            before = self._keys.get(session)
            self._keys[session] = key
            return before if before != key and before not in self._keys.values() else None


@dataclass(frozen=True, eq=False)
class Background:
    jobs: JobManager
    shelf: ModelShelf
    followers: Followers
    glances: JobManager
    kept: Kept
    postponed: WeakSet[Job] = field(default_factory=WeakSet)
    abandoned: WeakSet[Job] = field(default_factory=WeakSet)  # cancelled because nobody looked any more
    dismissed: WeakSet[Job] = field(default_factory=WeakSet)  # by people, from the list of jobs


@st.cache_resource(show_spinner=False)
def background() -> Background:
    jobs = JobManager(KEPT_JOBS, _write_log, KEPT_OF)
    atexit.register(jobs.close, LAST_CHUNK_SECONDS)  # torch must not be at work when the interpreter goes
    glances = JobManager(KEPT_GLANCES, on_failure=_write_log)
    atexit.register(glances.close, LAST_CHUNK_SECONDS)
    kept = Kept()
    atexit.register(kept.closing)  # before the jobs are cancelled: the last registered comes first
    return Background(jobs, ModelShelf(), Followers(), glances, kept)


def follow(settings: Settings) -> None:
    """Say what this session looks at; what it left behind is cancelled if nobody else wants it.

    Whoever comes back finds nothing of it, and so starts it again: nobody had asked to cancel.
    """
    context = get_script_run_ctx()
    left = background().followers.move(context.session_id if context else "", data_of(settings))
    if left is not None:
        for job in (job for kind in STARTED_BY_PAGES for job in begun_with(kind, left) if job.live):
            job.cancel()
            background().abandoned.add(job)


def submit(key: Hashable, do: Callable[..., Any], *arguments: Any) -> Job:
    """A job under ``key`` that does ``do(background, *arguments, watcher)``: one of the functions of work.py."""
    behind = background()  # taken here: the worker never calls Streamlit
    return behind.jobs.submit(key, lambda watcher: do(behind, *arguments, watcher))


def begun_with(*start: Hashable) -> list[Job]:
    """All jobs whose key begins so, the oldest first."""
    jobs = background().jobs.all()
    return [job for job in jobs if isinstance(job.key, tuple) and job.key[: len(start)] == start]


def _of_data(kind: str, settings: Settings, *more: Hashable) -> Job | None:
    """The job of that kind for the data of ``settings``, unless it was left behind."""
    job = background().jobs.find((kind, data_of(settings), *more))
    return None if job in background().abandoned else job


def ready_job(settings: Settings) -> Job | None:
    return _of_data("ready", settings)


def start_ready(settings: Settings) -> Job:
    """Load the model, build the prompts, run them and score the heads: seconds. Result: Prepared."""
    data = data_of(settings)
    return submit(("ready", data), work.prepare_anew, data)


def curve_job(settings: Settings) -> Job | None:
    return _of_data("curve", settings)


def start_curve(settings: Settings) -> Job:
    """Performance over all sparsities and the nine unions: tens of seconds. Result: Pruning."""
    data = data_of(settings)
    return submit(("curve", data), work.curve, data)


def sweep_job(settings: Settings, score: Score) -> Job | None:
    return _of_data("sweep", settings, score)


def start_sweep(settings: Settings, score: Score) -> Job:
    """Performance over all sparsities of one further score: ten seconds or so. Result: Sweep."""
    data = data_of(settings)
    return submit(("sweep", data, score), work.sweep, data, score)


def band_job(settings: Settings) -> Job | None:
    return _of_data("band", settings)


def start_band(settings: Settings) -> Job:
    """Random head sets of the same sizes: tens of seconds. Result: RandomBand."""
    data = data_of(settings)
    return submit(("band", data), work.band, data)


def postpone_band(settings: Settings) -> None:
    """Let what was asked for go before the random band."""
    if (band := band_job(settings)) is not None and band.live:
        band.cancel()
        background().postponed.add(band)


def was_postponed(job: Job) -> bool:
    """Whether the job was cancelled only to let something more urgent through."""
    return job in background().postponed and not job.live


def enough_job(settings: Settings) -> Job | None:
    return _of_data("enough", settings)


def start_enough(settings: Settings) -> Job:
    """How the metric and the top heads' scores narrow with more pairs: a second. Result: Enough, or None."""
    data = data_of(settings)
    return submit(("enough", data), work.enough, data)


def roles_job(settings: Settings) -> Job | None:
    return background().glances.find(("roles", data_of(settings)))


def start_roles(settings: Settings) -> Job:
    """Where every head looks and what it writes: a second or so, so it waits for no search. Result: Behaviour."""
    data = data_of(settings)
    behind = background()
    return behind.glances.submit(("roles", data), lambda watcher: work.roles(behind, data, watcher))


def score_job(settings: Settings, source: Source) -> Job | None:
    return background().glances.find(("score", data_of(settings), source))


def start_score(settings: Settings, source: Source) -> Job:
    """Head scores by backward passes: seconds, so they wait for no search. Result: attribution.Measured."""
    data = data_of(settings)
    behind = background()
    return behind.glances.submit(("score", data, source), lambda watcher: work.score(behind, data, source, watcher))


def glance(settings: Settings, what: Hashable, look: Callable[[Prepared], Any]) -> Job:
    """A quick look at a model, the same for the same ``what``. Result: what ``look`` returns.

    It has a thread of its own, so it never queues behind a search; a model that has only hooks may still make it
    wait for the lock between two passes of one, which no page can.
    """
    behind, data = background(), data_of(settings)
    key = ("glance", data, what)
    found = behind.glances.find(key)
    return found or behind.glances.submit(key, lambda watcher: look(work.ready(behind, data, watcher)))


def _write_log(key: Hashable, log: str) -> None:
    logging.getLogger("headlight.jobs").error("Job %s failed\n%s", key, log)
