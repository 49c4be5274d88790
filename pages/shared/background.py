"""What runs behind the pages: one job manager, the model in memory, and the requests pages make.

Jobs are found by their settings, so a reload, a second tab or a link shows the same run. A page that turns
to other settings withdraws what it had started by itself (``follow``), unless someone else follows it.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine.job import Job, JobState
from engine.jobs import JobManager
from engine.settings import Settings
from pages.shared import work
from pages.shared.model_shelf import ModelShelf
from pages.shared.work import data_of

if TYPE_CHECKING:
    from torch import Tensor

    from engine.ablation import Ablation
    from engine.circuit import Circuit
    from engine.claim import Target
    from engine.draws import Plan as DrawPlan
    from engine.evaluation.plan import Plan
    from engine.heads import Head
    from engine.prepare import Prepared
    from engine.scores.kinds import Source

KEPT_GLANCES = 60
KEPT_JOBS = 6  # of a kind
# Searches take long and little room, as do receipts; prompts that have run take much of it.
KEPT_OF = {"search": 16, "ready": 4, "receipt": 60}
LAST_CHUNK_SECONDS = 5.0


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
    postponed: WeakSet[Job] = field(default_factory=WeakSet)
    abandoned: WeakSet[Job] = field(default_factory=WeakSet)  # cancelled because nobody looked any more
    dismissed: WeakSet[Job] = field(default_factory=WeakSet)  # by people, from the list of jobs


@st.cache_resource(show_spinner=False)
def background() -> Background:
    jobs = JobManager(KEPT_JOBS, _write_log, KEPT_OF)
    atexit.register(jobs.close, LAST_CHUNK_SECONDS)  # torch must not be at work when the interpreter goes
    glances = JobManager(KEPT_GLANCES, on_failure=_write_log)
    atexit.register(glances.close, LAST_CHUNK_SECONDS)
    return Background(jobs, ModelShelf(), Followers(), glances)


def follow(settings: Settings) -> None:
    """Say what this session looks at; what it left behind is cancelled if nobody else wants it.

    Whoever comes back finds nothing of it, and so starts it again: nobody had asked to cancel.
    """
    context = get_script_run_ctx()
    left = background().followers.move(context.session_id if context else "", data_of(settings))
    if left is not None:
        for kind in ("ready", "curve", "band", "enough"):
            job = background().jobs.find((kind, left))
            if job is not None and job.live:
                job.cancel()
                background().abandoned.add(job)


def _wanted(kind: str, settings: Settings) -> Job | None:
    """The job of that kind for the data of ``settings``, unless it was left behind."""
    job = background().jobs.find((kind, data_of(settings)))
    return None if job in background().abandoned else job


def ready_job(settings: Settings) -> Job | None:
    return _wanted("ready", settings)


def start_ready(settings: Settings) -> Job:
    """Load the model, build the prompts, run them and score the heads: seconds. Result: Prepared."""
    data = data_of(settings)
    behind = background()  # taken here: the worker never calls Streamlit
    return behind.jobs.submit(("ready", data), lambda watcher: work.prepare_anew(behind, data, watcher))


def curve_job(settings: Settings) -> Job | None:
    return _wanted("curve", settings)


def start_curve(settings: Settings) -> Job:
    """Performance over all sparsities and the nine unions: tens of seconds. Result: Pruning."""
    data = data_of(settings)
    behind = background()
    return behind.jobs.submit(("curve", data), lambda watcher: work.curve(behind, data, watcher))


def band_job(settings: Settings) -> Job | None:
    return _wanted("band", settings)


def start_band(settings: Settings) -> Job:
    """Random head sets of the same sizes: tens of seconds. Result: RandomBand."""
    data = data_of(settings)
    behind = background()
    return behind.jobs.submit(("band", data), lambda watcher: work.band(behind, data, watcher))


def enough_job(settings: Settings) -> Job | None:
    return _wanted("enough", settings)


def start_enough(settings: Settings) -> Job:
    """How the metric and the top heads' scores narrow with more pairs: a second. Result: Enough, or None."""
    data = data_of(settings)
    behind = background()
    return behind.jobs.submit(("enough", data), lambda watcher: work.enough(behind, data, watcher))


def search_job(settings: Settings) -> Job | None:
    return background().jobs.find(("search", settings))


def start_search(settings: Settings) -> Job:
    """The whole search and its verification: minutes. Result: Discovery. The random band waits for it."""
    _postpone_band(settings)
    behind = background()
    return behind.jobs.submit(("search", settings), lambda watcher: work.search(behind, settings, watcher))


def start_race(contestants: Sequence[Settings]) -> None:
    """Searches on the same prompts that take turns, each timed as if it were alone. Results: Discovery.

    One that is there already, finished or under way, is not run again.
    """
    behind = background()
    open_to = [settings for settings in contestants if not _is_there(behind, settings)]
    if len(open_to) < 2:
        for settings in open_to:
            start_search(settings)
        return
    _postpone_band(contestants[0])
    common = work.Common(behind, len(open_to))
    behind.jobs.submit_together(
        [
            (("search", settings), lambda watcher, settings=settings: work.contest(common, settings, watcher))
            for settings in open_to
        ]
    )


def _is_there(behind: Background, settings: Settings) -> bool:
    job = behind.jobs.find(("search", settings))
    return job is not None and job.reusable


def _postpone_band(settings: Settings) -> None:
    """Let what was asked for go before the random band."""
    if (band := band_job(settings)) is not None and band.live:
        band.cancel()
        background().postponed.add(band)


def tune_job(settings: Settings, trials: int) -> Job | None:
    return background().jobs.find(("tune", settings, trials))


def start_tune(settings: Settings, trials: int) -> Job:
    """So many trials of mask and thresholds: minutes. Result: Tuning. The random band waits for it."""
    _postpone_band(settings)
    behind = background()
    return behind.jobs.submit(
        ("tune", settings, trials), lambda watcher: work.tune(behind, settings, trials, watcher)
    )


def kept_trials(prepared: Prepared, settings: Settings) -> int:
    """How many trials of these settings are kept on this machine."""
    from engine.tuning.place import study_name, study_path
    from engine.tuning.space import Space

    name = study_name(prepared, settings, Space())
    if not study_path(name).exists():  # without importing Optuna to find out
        return 0
    from engine.tuning.study import kept_trials

    return kept_trials(name)


def pilot_job(settings: Settings) -> Job | None:
    return background().jobs.find(("pilot", settings))


def pilot_of(settings: Settings, keep: Tensor) -> Job:
    """A look ahead on three pairs, started if there is none: seconds. Result: Pilot.

    ``keep [layer head]`` is what the settings confine the search to.
    """
    behind, key = background(), ("pilot", settings)
    job = behind.jobs.find(key)
    if job is not None and job.snapshot().state is JobState.CANCELLED:  # another session left it
        behind.jobs.forget(key)
        job = None
    return job or behind.jobs.submit(key, lambda watcher: work.pilot(behind, settings, keep, watcher))


def leave_pilot(settings: Settings) -> None:
    """Let go of a look ahead at settings nobody looks at any more: it would push off what took longer."""
    key = ("pilot", settings)
    if (job := background().jobs.find(key)) is not None:
        job.cancel()
        background().jobs.forget(key)


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


def verify_job(settings: Settings, heads: tuple[Head, ...], seed: int) -> Job | None:
    return background().jobs.find(("verify", data_of(settings), heads, seed))


def start_verify(settings: Settings, heads: tuple[Head, ...], seed: int) -> Job:
    """Some heads alone on the prompts of ``seed``: seconds. Result: Verification."""
    data = data_of(settings)
    behind = background()
    return behind.jobs.submit(
        ("verify", data, heads, seed), lambda watcher: work.verify(behind, data, heads, seed, watcher)
    )


def evaluation_job(settings: Settings, circuit: Circuit, seed: int, plan: Plan) -> Job | None:
    return background().jobs.find(("evaluate", data_of(settings), circuit, seed, plan))


def start_evaluation(settings: Settings, circuit: Circuit, seed: int, plan: Plan) -> Job:
    """Everything about a circuit's heads on the prompts of ``seed``: seconds to minutes. Result: Evaluation."""
    data = data_of(settings)
    behind = background()
    return behind.jobs.submit(
        ("evaluate", data, circuit, seed, plan),
        lambda watcher: work.evaluate(behind, data, circuit, seed, plan, watcher),
    )


def edges_job(settings: Settings, circuit: Circuit, seed: int, ablation: Ablation) -> Job | None:
    return background().jobs.find(("edges", data_of(settings), circuit, seed, ablation))


def start_edges(settings: Settings, circuit: Circuit, seed: int, ablation: Ablation) -> Job:
    """A circuit's edges alone, and each of them: seconds to minutes. Result: EdgeEvaluation."""
    data = data_of(settings)
    behind = background()
    return behind.jobs.submit(
        ("edges", data, circuit, seed, ablation),
        lambda watcher: work.edges(behind, data, circuit, seed, ablation, watcher),
    )


def stability_job(settings: Settings, plan: DrawPlan) -> Job | None:
    return background().jobs.find(("stability", settings, plan))


def stability_jobs(settings: Settings) -> list[Job]:
    """All of these settings, whatever their plan, the one last used first."""
    return [job for job in reversed(background().jobs.all()) if _begins(job, ("stability", settings))]


def start_stability(settings: Settings, plan: DrawPlan) -> Job:
    """The circuit found again on other prompts: as many searches. Result: Stability."""
    behind = background()
    return behind.jobs.submit(
        ("stability", settings, plan), lambda watcher: work.stability(behind, settings, plan, watcher)
    )


def receipt_job(settings: Settings, circuit: Circuit, target: Target, ablation: Ablation, seed: int) -> Job | None:
    return background().jobs.find(("receipt", _judging(settings), circuit, target, ablation, seed))


def receipt_jobs(settings: Settings, circuit: Circuit) -> list[Job]:
    """All of this circuit, the one last asked for first."""
    found = [job for job in background().jobs.all() if _begins(job, ("receipt", _judging(settings), circuit))]
    return sorted(found, key=lambda job: job.snapshot().started or float("inf"), reverse=True)


def start_receipt(settings: Settings, circuit: Circuit, target: Target, ablation: Ablation, seed: int) -> Job:
    """What one head or edge does on the prompts of ``seed``: seconds. Result: Receipts, of this one."""
    behind, judging = background(), _judging(settings)
    return behind.jobs.submit(
        ("receipt", judging, circuit, target, ablation, seed),
        lambda watcher: work.receipt(behind, judging, circuit, target, ablation, seed, watcher),
    )


def _judging(settings: Settings) -> Settings:
    """What a verdict depends on besides its data: the smallest effect that counts."""
    return replace(data_of(settings), min_effect=settings.min_effect)


def _begins(job: Job, start: tuple[Hashable, ...]) -> bool:
    return isinstance(job.key, tuple) and job.key[: len(start)] == start


def glance(settings: Settings, what: Hashable, look: Callable[[Prepared], Any]) -> Job:
    """A quick look at a model, the same for the same ``what``. Result: what ``look`` returns.

    It has a thread of its own, so it never queues behind a search; a model that has only hooks may still make it
    wait for the lock between two passes of one, which no page can.
    """
    behind, data = background(), data_of(settings)
    key = ("glance", data, what)
    found = behind.glances.find(key)
    return found or behind.glances.submit(key, lambda watcher: look(work.ready(behind, data, watcher)))


def was_postponed(job: Job) -> bool:
    """Whether the job was cancelled only to let something more urgent through."""
    return job in background().postponed and not job.live


def _write_log(key: Hashable, log: str) -> None:
    logging.getLogger("headlight.jobs").error("Job %s failed\n%s", key, log)
