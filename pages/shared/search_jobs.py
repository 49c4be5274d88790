"""Searches behind the pages, and what goes before them: races, automatic settings, looks ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.jobs.job import Job
from engine.jobs.snapshot import JobState
from engine.serving.limits import limits
from engine.settings import Settings
from pages.shared import kept_runs, work
from pages.shared.background import background, join, postpone_band, submit, submit_all
from pages.shared.visitors import owner

if TYPE_CHECKING:
    from torch import Tensor

    from engine.prepare import Prepared


def search_job(settings: Settings) -> Job | None:
    """The search of these settings: one of this server, or one that was kept and is now brought back."""
    return background().jobs.find(("search", settings)) or kept_runs.brought_back(settings)


def start_search(settings: Settings) -> Job:
    """The whole search and its verification: minutes. Result: Discovery. The random band waits for it."""
    postpone_band(settings)
    return submit(("search", settings), work.search, settings)


def start_race(contestants: Sequence[Settings]) -> None:
    """Searches on the same prompts that take turns, each timed as if it were alone. Results: Discovery.

    One that is there already, finished or under way, is not run again.
    """
    behind = background()
    open_to = [settings for settings in contestants if not _is_there(settings)]
    if len(open_to) < 2:
        for settings in open_to:
            start_search(settings)
        return
    postpone_band(contestants[0])
    common = work.Common(behind, len(open_to))
    submit_all(
        [
            (("search", settings), lambda watcher, settings=settings: work.contest(common, settings, watcher))
            for settings in open_to
        ]
    )


def _is_there(settings: Settings) -> bool:
    job = search_job(settings)
    return job is not None and job.reusable


def tune_job(settings: Settings, trials: int) -> Job | None:
    return background().jobs.find(("tune", settings, trials))


def start_tune(settings: Settings, trials: int) -> Job:
    """So many trials of mask and thresholds: minutes. Result: Tuning. The random band waits for it."""
    postpone_band(settings)
    return submit(("tune", settings, trials), work.tune, settings, trials)


def kept_trials(prepared: Prepared, settings: Settings) -> int:
    """How many trials of these settings are kept on this machine."""
    from engine.tuning.place import study_name, study_path
    from engine.tuning.space import Space

    name = study_name(prepared, settings, Space())
    if not limits().keeps or not study_path(name).exists():  # without importing Optuna to find out
        return 0
    from engine.tuning.study import kept_trials

    return kept_trials(name)


def pilot_job(settings: Settings) -> Job | None:
    return background().jobs.find(("pilot", settings))


def pilot_of(settings: Settings, keep: Tensor) -> Job:
    """A look ahead on three pairs, started if there is none: seconds. Result: Pilot.

    ``keep [layer head]`` is what the settings confine the search to.
    """
    jobs, key = background().jobs, ("pilot", settings)
    job = jobs.find(key)
    if job is not None:
        join(job)
    if job is not None and job.snapshot().state is JobState.CANCELLED:  # another session left it
        jobs.forget(key)
        job = None
    return job or submit(key, work.pilot, settings, keep)


def leave_pilot(settings: Settings) -> None:
    """Let go of a look ahead at settings nobody looks at any more: it would push off what took longer."""
    key = ("pilot", settings)
    if (job := background().jobs.find(key)) is not None:
        background().jobs.withdraw(job, owner())
        background().jobs.forget(key)
