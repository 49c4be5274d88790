"""Kills processes in the middle of the store's work, by signal 9, and looks at what is left.

``python -m tests.engine.store.killed FOLDER KILLS SEED``: each child does all that can be done to a store and is killed
before a line of engine/store drawn at random, every other time before the run had ended. Whatever the line, the other
runs must be unharmed, the list must be right, and the killed run must be finished, or incomplete and go on with what it
had. Prints how often which.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from engine.notes.journal import Chunk
from engine.store.store import RunStore
from engine.store.stored_run import RunState
from tests.engine.store.records import SETTINGS, made_up

CODE = str(Path(__file__).parents[3] / "engine" / "store")


def run_one(store: RunStore) -> str:
    with store.begin(SETTINGS, "killed") as run:
        run.journal.write("a", Chunk({"x": 1}))
        run.journal.write("b", Chunk({"x": 2}))
        run.finish(made_up())
    return run.id


def story(store: RunStore) -> None:
    """A run, then everything else."""
    run = run_one(store)
    store.attach(run, "labels", "a", {"x": 1})
    store.rename(run, "renamed")
    store.tag(run, ["t"])
    store.delete(run)
    store.undelete(run)
    more = store.add(made_up(pairs=5), "added")
    store.delete(more)
    store.purge(0)
    store.rebuild()
    store.all()


def traced(act: Callable[[], object], at: int) -> int:
    """Do ``act``, and die before its ``at``-th line of the store's code; how many there were."""
    lines = 0

    def line(frame: FrameType, event: str, value: object):
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == at:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    sys.settrace(lambda frame, event, value: line if frame.f_code.co_filename.startswith(CODE) else None)
    try:
        act()
    finally:
        sys.settrace(None)
    return lines


def killed(home: Path, at: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            traced(lambda: story(RunStore(home)), at)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (at, status)


def what_is_left(home: Path, sound: str) -> str:
    """What became of the killed run; an AssertionError if anything is not as it must be."""
    store = RunStore(home)
    runs = {run.id: run for run in store.all(deleted=True)}
    assert list(runs.values()) == [store.get(run) for run in runs], "the index says what the folders say"
    assert runs.pop(sound).name == "sound" and store.read(sound) == made_up(name="sound")
    assert all(run.error is None and run.state is not RunState.RUNNING for run in runs.values()), runs
    for run in runs.values():
        if run.state is RunState.DONE:
            assert store.read(run.id) in (made_up(), made_up(pairs=5))
    found = [run for run in runs.values() if run.name != "added"]
    with store.begin(SETTINGS) as again:
        assert again.resumed == (bool(found) and found[0].state is RunState.INCOMPLETE)
        assert [chunk and chunk.values for chunk in map(again.journal.read, "ab")] in (
            [None, None], [{"x": 1}, None], [{"x": 1}, {"x": 2}],
        )  # fmt: skip
        again.finish(made_up())
    assert store.find(SETTINGS).id == again.id and store.read(again.id) == made_up()
    store.purge()
    assert not list(home.rglob(".*")) and not list(home.rglob("half-*")) and not list(home.rglob("chunks"))
    assert all((place / "about.json").exists() for place in (home / "runs").iterdir())
    return "not begun" if not found else found[0].state.value


def copy_of(folder: Path, name: str) -> Path:
    return shutil.copytree(folder / "first", folder / name)


def main(folder: Path, kills: int, seed: int) -> None:
    first = RunStore(folder / "first")
    sound = first.add(made_up(name="sound"), "sound")
    running, total = (traced(partial(act, RunStore(copy_of(folder, act.__name__))), 0) for act in (run_one, story))
    draw, found = random.Random(seed), Counter[str]()
    places = [*draw.sample(range(1, running), kills // 2), *draw.sample(range(running, total), kills - kills // 2)]
    for place in places:
        home = copy_of(folder, str(place))
        killed(home, place)
        found[what_is_left(home, sound)] += 1
        shutil.rmtree(home)
    sys.stdout.write(json.dumps({"lines": total, "kills": kills, "found": found}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
