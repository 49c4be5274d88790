"""What Headlight keeps on disk, each with a write to disturb and a check that nothing was lost by it.

``begin`` keeps a few things; ``act`` keeps one more, of ``number``; ``lost`` names whatever of the first is not as it
was; ``half`` whether the new one is there but not whole. A reader that meets damage may refuse, never crash.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz import inputs
from engine.capsule.reading import read_capsule
from engine.capsule.writing import capsule_bytes, write_capsule
from engine.errors import HeadlightError
from engine.heads import Head
from engine.notes.journal import Chunk
from engine.settings import Settings
from engine.store.store import RunStore
from engine.tasks import own
from engine.tasks.own import own_task
from engine.tasks.table import Row
from engine.trust import own_keys
from engine.trust.answer_key_file import AnswerKey
from engine.tuning.results import Outcome, Trial
from engine.tuning.space import Space
from engine.tuning.study import kept_trials, opened

KEPT = 3
STUDY = "0" * 24
CREATED = 0.0


@dataclass(frozen=True)
class Subject:
    """``files``: where it lies below the home folder."""

    name: str
    files: str
    begin: Callable[[Path], None]
    act: Callable[[Path, int], None]
    lost: Callable[[Path], list[str]]
    half: Callable[[Path, int], bool]


def subjects() -> list[Subject]:
    return [
        Subject("own tasks", "cache/own-tasks", _tasks_begin, _task_act, _tasks_lost, _task_half),
        Subject("answer keys", "cache/answer-keys", _keys_begin, _key_act, _keys_lost, _key_half),
        Subject("tuning journals", "cache/tuning", _trials_begin, _trial_act, _trials_lost, _trial_half),
        Subject("runs", "home", _runs_begin, _run_act, _runs_lost, _run_half),
        Subject("capsules", "capsules", _capsules_begin, _capsule_act, _capsules_lost, _capsule_half),
    ]


def _task(number: int) -> own.OwnTask:
    rows = [Row(i, f"a {number} b {i}", f"a {number} c {i}", "x", "y") for i in range(1, 40)]
    return own_task(rows, title=f"task {number}")


def _tasks_begin(home: Path) -> None:
    for number in range(KEPT):
        own.keep(_task(number))


def _task_act(home: Path, number: int) -> None:
    own.keep(_task(KEPT + number))


def _tasks_lost(home: Path) -> list[str]:
    there = {task.name: task for task in own.kept()}
    return [task.name for task in map(_task, range(KEPT)) if there.get(task.name) != task]


def _task_half(home: Path, number: int) -> bool:
    task = _task(KEPT + number)
    path = home / "cache" / own.SUBFOLDER / f"{task.name}.json"
    return path.exists() and task not in own.kept()


def _key(number: int) -> AnswerKey:
    return AnswerKey("a model", "a task", f"key {number}", "me", {Head(number, index): "role" for index in range(30)})


def _keys_begin(home: Path) -> None:
    for number in range(KEPT):
        own_keys.keep(_key(number))


def _key_act(home: Path, number: int) -> None:
    own_keys.keep(_key(KEPT + number))


def _keys_lost(home: Path) -> list[str]:
    there = {key.name: dict(key.roles) for key in own_keys.kept()}
    return [key.name for key in map(own_keys.named, map(_key, range(KEPT))) if there.get(key.name) != dict(key.roles)]


def _key_half(home: Path, number: int) -> bool:
    name = own_keys.named(_key(KEPT + number)).name
    path = home / "cache" / own_keys.SUBFOLDER / f"{name}.json"
    return path.exists() and name not in {key.name for key in own_keys.kept()}


def _trial(number: int, settings: Settings) -> Trial:
    outcome = Outcome(tuple(Head(0, index) for index in range(number + 1)), number, 0.5, 90.0, True)
    return Trial(number, settings, 9, math.nan, outcome, "", 1.0, 2.0)


def _trials_begin(home: Path) -> None:
    with opened(STUDY, Settings(), Space()) as study:
        for number in range(KEPT):
            study.add(number, _trial)


def _trial_act(home: Path, number: int) -> None:
    with opened(STUDY, Settings(), Space()) as study:
        study.add(len(study.trials), _trial)


def _trials_lost(home: Path) -> list[str]:
    if kept_trials(STUDY) < KEPT:
        return [f"{KEPT - kept_trials(STUDY)} trials"]
    with opened(STUDY, Settings(), Space()) as study:
        sizes = [trial.size for trial in study.trials[:KEPT]]
    return [f"trial {number}" for number, size in enumerate(sizes) if size != number + 1]


def _trial_half(home: Path, number: int) -> bool:
    with opened(STUDY, Settings(), Space()) as study:
        return any(trial.size != place + 1 for place, trial in enumerate(study.trials))


def _runs_begin(home: Path) -> None:
    store = RunStore()
    for number in range(KEPT):
        store.add(inputs.record(), f"run {number}")


def _run_act(home: Path, number: int) -> None:
    store = RunStore()
    with store.begin(inputs.SETTINGS, f"new {number}", anew=True) as run:
        run.journal.write("part", Chunk({"x": list(range(500))}))
        run.finish(inputs.record())
    store.rename(run.id, f"newer {number}")
    store.attach(run.id, "labels", "mine", {"0.1": "mover"})


def _runs_lost(home: Path) -> list[str]:
    store = RunStore()
    there = {run.name: run.id for run in store.all() if run.state == "done"}
    names = [f"run {number}" for number in range(KEPT)]
    return [name for name in names if name not in there or store.read(there[name]) != inputs.record()]


def _run_half(home: Path, number: int) -> bool:
    """A run that says it is done and cannot be read."""
    store = RunStore()
    for run in store.all():
        if run.state == "done":
            try:
                store.read(run.id)
            except HeadlightError:
                return True
    return False


def _capsules_begin(home: Path) -> None:
    (home / "capsules").mkdir()
    for number in range(KEPT):
        _capsule_act(home, number - KEPT)


def _capsule_act(home: Path, number: int) -> None:
    path = home / "capsules" / f"{KEPT + number}.headlight"
    try:
        write_capsule(inputs.record(), path, created=CREATED)
    except OSError as error:  # the caller's part, as engine.cli.common.write has it
        raise HeadlightError(f"Cannot write {path}: {error.strerror}. Choose another --out.") from error


def _capsules_lost(home: Path) -> list[str]:
    whole = capsule_bytes(inputs.record(), created=CREATED)
    paths = [home / "capsules" / f"{number}.headlight" for number in range(KEPT)]
    return [path.name for path in paths if not path.is_file() or path.read_bytes() != whole]


def _capsule_half(home: Path, number: int) -> bool:
    path = home / "capsules" / f"{KEPT + number}.headlight"
    if not path.exists():
        return False
    try:
        read_capsule(path)
    except HeadlightError:
        return True
    return False
