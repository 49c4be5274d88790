"""What runs behind the pages: one job manager, the model in memory, and the requests pages make.

Jobs are found by their settings, so a reload, a second tab or a link shows the same run, and whoever asks for it is one
of its owners (visitors.py). A page that turns to other settings withdraws what it had started by itself (``follow``),
unless someone else follows it. Every request passes ``submit_all``, which refuses what is too much
(engine/serving/limits.py).

Here are the requests about a model and its prompts; search_jobs.py has searches, verification_jobs.py what judges them.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import streamlit as st

from engine.errors import HeadlightError
from engine.jobs.job import Job, Owner, Work
from engine.jobs.manager import DEFAULT_LANE, JobManager, QueueLimits
from engine.serving.limits import check_request, limits
from engine.settings import Settings
from engine.store.store import RunStore
from pages.shared import made, server_log, visitors, work
from pages.shared.kept import Kept
from pages.shared.model_shelf import ModelShelf
from pages.shared.recent import Recent
from pages.shared.visitors import Visitors
from pages.shared.work import data_of

if TYPE_CHECKING:
    from engine.prepare import Prepared
    from engine.scores.kinds import Score, Source

KEPT_GLANCES = 60
KEPT_JOBS = 6  # of a kind
# Searches take long and little room, as do receipts; prompts that have run take much of it.
KEPT_OF = {"search": 16, "ready": 4, "receipt": 60}
LAST_CHUNK_SECONDS = 5.0
MOST_SEEN = 2_000  # by all visitors
# What pages start by themselves, of a model and its prompts.
STARTED_BY_PAGES = ("ready", "curve", "sweep", "band", "enough")
# What takes seconds, and so waits for no search of others.
SHORT = ("ready", "enough", "pilot", "verify", "receipt")


@dataclass(frozen=True, eq=False)
class Background:
    jobs: JobManager
    shelf: ModelShelf
    visitors: Visitors
    glances: JobManager
    kept: Kept
    postponed: WeakSet[Job] = field(default_factory=WeakSet)
    abandoned: WeakSet[Job] = field(default_factory=WeakSet)  # cancelled because nobody looked any more
    dismissed: WeakSet[Job] = field(default_factory=WeakSet)  # by people, from the list of jobs
    seen: Recent[tuple[Owner, Settings], bool] = field(default_factory=lambda: Recent(MOST_SEEN))  # results of searches


@st.cache_resource(show_spinner=False)
def background() -> Background:
    here = Visitors()
    queue = QueueLimits(limits().waiting, limits().waiting_all)
    jobs = JobManager(
        KEPT_JOBS, server_log.failed, KEPT_OF, short=SHORT, limits=queue, is_here=here.is_here, tell=server_log.told_of
    )
    atexit.register(jobs.close, LAST_CHUNK_SECONDS)  # torch must not be at work when the interpreter goes
    glances = JobManager(
        KEPT_GLANCES, server_log.failed, limits=queue, is_here=here.is_here, tell=server_log.told_of
    )
    atexit.register(glances.close, LAST_CHUNK_SECONDS)
    kept = Kept(lambda: RunStore(read_only=not limits().keeps))
    atexit.register(kept.closing)  # before the jobs are cancelled: the last registered comes first
    shelf = ModelShelf(
        lambda: {*work.models_in_use(jobs), *work.models_in_use(glances)},
        lambda name: work.forget_model(jobs, name),
        server_log.model,
    )
    behind = Background(jobs, shelf, here, glances, kept)
    made.note(behind)
    return behind


def follow(settings: Settings) -> None:
    """Say what this session looks at; what it left behind is cancelled if nobody else wants it.

    Whoever comes back finds nothing of it, and so starts it again: nobody had asked to cancel. The same is done for
    the sessions that are gone.
    """
    behind, me = background(), visitors.owner()
    here = behind.visitors
    if here.note(visitors.session(), me):
        server_log.session(me, here.count())
    here.move(visitors.session(), data_of(settings))
    for key, owner in here.left():
        followed = here.is_followed(key)
        for job in (job for kind in STARTED_BY_PAGES for job in begun_with(kind, key) if job.live):
            if followed:
                behind.jobs.leave(job, owner)
            else:
                job.cancel()
                behind.abandoned.add(job)


def submit(key: Hashable, do: Callable[..., Any], *arguments: Any) -> Job:
    """A job under ``key`` that does ``do(background, *arguments, watcher)``: one of the functions of work.py."""
    behind = background()  # taken here: the worker never calls Streamlit
    return submit_all([(key, lambda watcher: do(behind, *arguments, watcher))])[0]


def submit_all(requests: Sequence[tuple[Hashable, Work]], to: JobManager | None = None) -> list[Job]:
    """Jobs that begin together, on the device of their settings; all refused if one of them asks for too much."""
    jobs = to or background().jobs
    settings = [part for key, _ in requests if (part := settings_of(key)) is not None]
    try:
        for each in settings:
            check_request(each.model, each.pairs, limits())
    except HeadlightError as error:
        return [jobs.refuse(key, str(error)) for key, _ in requests]
    lane = settings[0].device if settings else DEFAULT_LANE
    return jobs.submit_together(requests, visitors.owner(), lane)


def settings_of(key: Hashable) -> Settings | None:
    """The settings in a job's key."""
    return next((part for part in key if isinstance(part, Settings)), None) if isinstance(key, tuple) else None


def cancel(job: Job) -> None:
    """Stop a job for whoever is looking at this page; it goes on for the others who are waiting for it."""
    if not _manager_of(job).withdraw(job, visitors.owner()):
        st.toast("Somebody else is waiting for this too, so it goes on.", icon=":material/group:")


def is_of_others(job: Job) -> bool:
    """Whether it is another visitor's, who is still here, and not one's own."""
    jobs, me = _manager_of(job), visitors.owner()
    return me not in jobs.owners(job) and jobs.wanted_by_others(job, me)


def join(job: Job) -> Job:
    """Count this visitor among those who wait for a job that is there already."""
    _manager_of(job).join(job, visitors.owner())
    return job


def _manager_of(job: Job) -> JobManager:
    behind = background()
    return behind.glances if behind.glances.find(job.key) is job else behind.jobs


def begun_with(*start: Hashable) -> list[Job]:
    """All jobs whose key begins so, the oldest first."""
    jobs = background().jobs.all()
    return [job for job in jobs if isinstance(job.key, tuple) and job.key[: len(start)] == start]


def _of_data(kind: str, settings: Settings, *more: Hashable) -> Job | None:
    """The job of that kind for the data of ``settings``, unless it was left behind."""
    job = background().jobs.find((kind, data_of(settings), *more))
    return None if job is None or job in background().abandoned else join(job)


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
    return submit_all([(("roles", data), lambda watcher: work.roles(behind, data, watcher))], behind.glances)[0]


def score_job(settings: Settings, source: Source) -> Job | None:
    return background().glances.find(("score", data_of(settings), source))


def start_score(settings: Settings, source: Source) -> Job:
    """Head scores by backward passes: seconds, so they wait for no search. Result: attribution.Measured."""
    data = data_of(settings)
    behind = background()
    request = ("score", data, source), lambda watcher: work.score(behind, data, source, watcher)
    return submit_all([request], behind.glances)[0]


def glance(settings: Settings, what: Hashable, look: Callable[[Prepared], Any]) -> Job:
    """A quick look at a model, the same for the same ``what``. Result: what ``look`` returns.

    It has a thread of its own, so it never queues behind a search; a model that has only hooks may still make it
    wait for the lock between two passes of one, which no page can.
    """
    behind, data = background(), data_of(settings)
    return look_at(("glance", data, what), lambda watcher: look(work.ready(behind, data, watcher)))


def look_at(key: Hashable, look: Work) -> Job:
    """The glance of ``key``, one's own too; begun if it is not there, or was refused before it could begin."""
    glances = background().glances
    found = glances.find(key)
    if found is None or found.was_refused:
        return submit_all([(key, look)], glances)[0]
    return join(found)
