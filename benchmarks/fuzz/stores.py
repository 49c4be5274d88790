"""A run store with files damaged at random: it says what is wrong, and the runs beside the damaged one are unharmed."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from benchmarks.fuzz import inputs, mutations
from engine.errors import HeadlightError
from engine.notes.journal import Chunk
from engine.store.store import RunStore

RUNS = 3


@dataclass(frozen=True)
class Damage:
    """What happens to one file: its place among all of the store's, sorted, and its bytes changed by ``seed``."""

    place: int
    kind: str  # changed, gone, empty, folder
    seed: int


def damage(rng: Random) -> list[Damage]:
    _whole()
    kinds = ("changed", "changed", "changed", "gone", "empty", "folder")
    return [Damage(rng.randrange(100), rng.choice(kinds), rng.randrange(2**32)) for _ in range(rng.randint(1, 3))]


def run_store(given: list[Damage], folder: Path) -> None:
    """Everything a person may ask of the store, of every run of it."""
    root = folder / "home"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(_whole(), root)
    hurt = {_damaged(root, each) for each in given}
    store = RunStore(root)
    for read_only in (True, False):
        with suppress(HeadlightError):
            RunStore(root, read_only).all(deleted=True)
    kept = [path.name for path in sorted((_whole() / "runs").iterdir())]
    for run in kept:
        if run in hurt:
            for ask in (store.get, store.read, store.attachments):
                with suppress(HeadlightError):
                    ask(run)
        elif _done(run):
            assert store.read(run) == inputs.record(), f"{run} was harmed"
            assert store.get(run).state == "done"
    changes = (lambda: store.rename(kept[0], "again"), lambda: store.add(inputs.record()), store.rebuild, store.size)
    for change in changes:
        with suppress(HeadlightError):
            change()
    with suppress(HeadlightError), store.begin(inputs.SETTINGS, anew=True) as run:
        run.journal.write("a", Chunk({"x": 1}))
        run.cancel()
    for run in kept:
        if run not in hurt and _done(run):
            assert store.read(run) == inputs.record(), f"{run} was harmed later"


def _damaged(root: Path, what: Damage) -> str:
    """Do it; the id of the run that was hurt, "" for the index."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    path = files[what.place % len(files)]
    rng = Random(what.seed)
    if what.kind == "changed":
        path.write_bytes(mutations.mutated_bytes(rng, path.read_bytes()))
    elif what.kind == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        if what.kind == "folder":
            path.mkdir()
    parts = path.relative_to(root).parts
    return parts[1] if parts[0] == "runs" else ""


@cache
def _whole() -> Path:
    """A store with finished runs, one of them with attachments, and one that was interrupted."""
    root = Path(mkdtemp(prefix="headlight-fuzz-"))
    store = RunStore(root)
    added = [store.add(inputs.record(), f"run {number}", ["a"]) for number in range(RUNS)]
    store.attach(added[0], "labels", "mine", {"0.1": "mover"})
    with store.begin(inputs.SETTINGS, anew=True) as run:
        run.journal.write("part/1", Chunk({"x": 1}))
    return root


@cache
def _done(run: str) -> bool:
    return RunStore(_whole(), read_only=True).get(run).state == "done"
