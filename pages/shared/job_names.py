"""What background jobs are called, which are worth a word once they have ended, and the page that shows them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.jobs.manager import kind_of
from engine.jobs.snapshot import JobState, Snapshot
from engine.models.registry import find_card
from engine.settings import Algorithm, Mode, Settings
from engine.tasks.task import TASKS
from pages.shared import algorithm_words, own_tasks, search_run
from pages.shared.view import data_fields, run_fields

WHAT = {
    "ready": "Loading",
    "curve": "Curves",
    "sweep": "Curve",
    "band": "Random heads",
    "search": "Search",
    "pilot": "Look ahead",
    "enough": "Enough pairs",
    "verify": "Verification",
    "evaluate": "Evaluation",
    "edges": "Edges alone",
    "tune": "Automatic settings",
    "stability": "Stability",
    "receipt": "Receipt",
}
ROOM = {
    "ready": "explorer", "curve": "pruning", "sweep": "explorer", "band": "pruning", "search": "explorer",
    "pilot": "explorer", "enough": "prompts", "verify": "circuit", "evaluate": "verification", "edges": "verification",
    "stability": "verification", "receipt": "verification", "tune": "explorer",
}  # fmt: skip
OF_A_RUN = ("search", "pilot", "stability")  # the others are of a model and its prompts, whatever is searched
# What pages start by themselves: seen while it runs and if it fails, no news once it is done.
QUIET = ("ready", "curve", "sweep", "band", "pilot", "enough")


@dataclass(frozen=True)
class JobName:
    """``what`` is done to ``about``; ``room`` shows it at ``view`` (fields to change), if any page does."""

    what: str
    about: tuple[str, ...]
    room: str | None
    view: dict[str, Any]


def of(key: Hashable) -> JobName:
    """The name of the job with this key, of whatever kind."""
    kind = str(kind_of(key) or "job")
    what = WHAT.get(kind, kind.replace("_", " ").capitalize())
    settings = next((part for part in key if isinstance(part, Settings)), None) if isinstance(key, tuple) else None
    if settings is None:
        return JobName(what, (), None, {})
    about = (task_title(settings.task), model_title(settings.model))
    if kind not in OF_A_RUN:
        return JobName(what, about, ROOM.get(kind), data_fields(settings))
    own = [algorithm_words.TITLES[settings.algorithm]] * (settings.algorithm is not Algorithm.PATH_PATCHING)
    unusual = own + ["exact"] * (settings.mode is Mode.EXACT) + ["grid"] * settings.grid
    return JobName(what, (*about, search_run.among_words(settings), *unusual), ROOM.get(kind), run_fields(settings))


def is_told(shot: Snapshot) -> bool:
    """Whether a job that has ended is worth a word."""
    return shot.state is JobState.FAILED or kind_of(shot.key) not in QUIET


def model_title(name: str) -> str:
    card = find_card(name)
    return card.title if card is not None else Path(name).name


def task_title(name: str) -> str:
    kept = own_tasks.kept()
    return kept[name].title if name in kept else next((task.title for task in TASKS if task.name == name), name)
