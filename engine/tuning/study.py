"""The kept study: Optuna samples from it, and it is on disk before a trial counts.

1. One journal file a study in the cache folder (engine/tuning/place.py). Every write is one appended line; a line
   cut off by a crash is taken away when it is next opened, and a trial that was under way then is marked as failed
   and sampled again.
2. Each trial is sampled by a sampler of its own, seeded by the study's seed and by how many trials are finished. So a
   study that was stopped anywhere and continued is the one that would have run in one go.
3. While it is open it is locked: two processes never write one study.
4. The exact search of a trial that was taken is kept beside it. The sampler goes on seeing the estimate: what it
   suggests must not depend on when somebody stopped to look.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from engine.errors import HeadlightError
from engine.heads import Head
from engine.models.cache import unwritable, writable_cache
from engine.settings import Settings
from engine.tuning.place import SUBFOLDER, study_path
from engine.tuning.results import Outcome, Trial
from engine.tuning.space import Space

STARTUP = 10  # trials at random before there is something to learn from
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
DIRECTIONS = ("minimize", "maximize")  # heads, faithfulness


@contextmanager
def opened(name: str, settings: Settings, space: Space, kept: bool = True) -> Iterator[Study]:
    """The study ``name``, begun if it is not there; raises HeadlightError if it cannot be kept or is in use.

    One that is not ``kept`` lives in memory, and begins anew each time.
    """
    if not kept:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        yield Study(optuna.create_study(study_name=name, directions=DIRECTIONS), settings, space)
        return
    path = writable_cache(SUBFOLDER) / study_path(name).name
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise HeadlightError(
            "These automatic settings are being searched for by another process of Headlight right now. Wait until it "
            "is done, or stop it; what it has tried by then is kept."
        ) from error
    try:
        yield Study(_load(path, name), settings, space)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    finally:
        lock.release()


def kept_trials(name: str) -> int:
    """How many finished trials are kept of a study, without opening it; 0 if there is none."""
    path = study_path(name)
    if not path.exists():
        return 0
    study = optuna.load_study(study_name=name, storage=_storage(path))
    return len(study.get_trials(deepcopy=False, states=FINISHED))


@dataclass(frozen=True, eq=False)
class Study:
    """Finished trials in order, and the next one."""

    _study: optuna.Study
    _settings: Settings
    _space: Space

    @property
    def trials(self) -> tuple[Trial, ...]:
        finished = self._study.get_trials(deepcopy=False, states=FINISHED)
        return tuple(self._trial(number, frozen) for number, frozen in enumerate(finished))

    def add(self, number: int, attempt: Callable[[int, Settings], Trial]) -> Trial:
        """Sample the settings of trial ``number``, the count of those finished, and keep what comes of them."""
        self._study.sampler = _sampler(self._settings.seed, number)
        if number == 0:
            self._study.enqueue_trial(self._space.usual())
        asked = self._study.ask()
        trial = attempt(number, self._space.suggest(asked, self._settings))
        asked.set_user_attr("trial", _record(trial))
        if trial.outcome is None:
            self._study.tell(asked, state=TrialState.PRUNED)
        else:
            self._study.tell(asked, (float(trial.size), trial.faithfulness))
        return trial

    def exact(self, number: int) -> Trial | None:
        """The trial as it is when searched exactly; None if it has not been."""
        record = self._study.user_attrs.get(f"exact {number}")
        if record is None:
            return None
        return _trial_of(record, number, self.trials[number].settings)

    def keep_exact(self, trial: Trial) -> None:
        self._study.set_user_attr(f"exact {trial.number}", _record(trial))

    def _trial(self, number: int, frozen: optuna.trial.FrozenTrial) -> Trial:
        again = optuna.trial.FixedTrial(frozen.params)
        return _trial_of(frozen.user_attrs["trial"], number, self._space.suggest(again, self._settings))


class _Held(JournalFileOpenLock):
    """The study's own lock is held all the while, and unlike Optuna's it does not outlive a crash."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _load(path: Path, name: str) -> optuna.Study:
    """The study of a file, mended; a new one where there is no file."""
    if path.exists():
        _cut_unfinished_line(path)
    study = optuna.create_study(
        study_name=name, storage=_storage(path), directions=DIRECTIONS, load_if_exists=True
    )
    for _ in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.ask()  # takes it up
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _storage(path: Path) -> JournalStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of each trial on the console
    return JournalStorage(JournalFileBackend(str(path), lock_obj=_Held(str(path))))


def _cut_unfinished_line(path: Path) -> None:
    """Take away what stands after the last end of a line: it was being written when the process died."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def _sampler(seed: int, finished: int) -> optuna.samplers.TPESampler:
    digest = hashlib.sha256(f"{seed} {finished}".encode()).digest()
    return optuna.samplers.TPESampler(
        seed=int.from_bytes(digest[:4]), n_startup_trials=STARTUP, multivariate=False, constant_liar=False
    )


def _record(trial: Trial) -> dict[str, Any]:
    """All of a trial but its settings, which follow from what was sampled."""
    outcome = trial.outcome
    return {
        "mask_size": trial.mask_size,
        "mask_faithfulness": None if math.isnan(trial.mask_faithfulness) else trial.mask_faithfulness,
        "pruned": trial.pruned,
        "seconds": trial.seconds,
        "flops": trial.flops,
        "outcome": None if outcome is None else {
            "heads": [str(head) for head in outcome.heads], "edges": outcome.edges,
            "faithfulness": outcome.faithfulness, "performance": outcome.performance, "estimated": outcome.estimated,
        },
    }  # fmt: skip


def _trial_of(record: dict[str, Any], number: int, settings: Settings) -> Trial:
    found = record["outcome"]
    outcome = None if found is None else Outcome(
        tuple(Head.parse(name) for name in found["heads"]), found["edges"], found["faithfulness"],
        found["performance"], found["estimated"],
    )  # fmt: skip
    mask = record["mask_faithfulness"]
    return Trial(
        number, settings, record["mask_size"], math.nan if mask is None else mask, outcome, record["pruned"],
        record["seconds"], record["flops"],
    )  # fmt: skip
