"""Several processes on one store, some of them killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.errors import HeadlightError
from engine.notes.journal import Chunk
from engine.store import shelf
from engine.store.folder import RunFolder
from engine.store.store import RunStore
from engine.store.stored_run import RunState
from tests.engine.store.records import SETTINGS, made_up

ROOT = Path(__file__).parents[3]
HOLDS = """
import sys
from pathlib import Path
from engine.notes.journal import Chunk
from engine.store.store import RunStore
from tests.engine.store.records import SETTINGS
with RunStore(Path(sys.argv[1])).begin(SETTINGS, "theirs") as run:
    run.journal.write("a", Chunk({"x": 1}))
    print(run.id, flush=True)
    sys.stdin.read()
"""
ADDS = """
import sys
from pathlib import Path
from engine.store.store import RunStore
from tests.engine.store.records import made_up
store = RunStore(Path(sys.argv[1]))
for number in range(8):
    run = store.add(made_up(), f"{sys.argv[2]} {number}")
    store.tag(sys.argv[3], [sys.argv[2], str(number)])
    store.attach(run, "labels", "x", {"n": number})
"""


def started(script: str, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_a_run_of_another_process_is_running_until_it_is_killed_then_taken_up(store):
    other = started(HOLDS, store.root)
    theirs = other.stdout.readline().strip()
    try:
        assert store.get(theirs).state is RunState.RUNNING and store.all()[0].name == "theirs"
        with pytest.raises(HeadlightError, match="under way"):
            store.delete(theirs)
        with store.begin(SETTINGS) as mine:
            assert mine.id != theirs and not mine.resumed, "what another process does is not taken from it"
            mine.finish(made_up())
        assert store.purge(0) == [] and (store.root / "runs" / theirs / "chunks").exists()
        store.rename(theirs, "ours")
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.communicate()
    assert store.get(theirs).state is RunState.INCOMPLETE
    with store.begin(SETTINGS) as again:
        assert again.id == theirs and again.resumed and again.journal.read("a").values == {"x": 1}
        again.finish(made_up())
    kept = store.get(theirs)
    assert kept.state is RunState.DONE and kept.name == "ours" and store.read(mine.id) == made_up()


def test_processes_that_write_at_once_lose_nothing(store):
    shared = store.add(made_up(), "shared")
    others = [started(ADDS, store.root, name, shared) for name in "ab"]
    while any(other.poll() is None for other in others):
        for run in store.all():  # whoever reads meanwhile sees whole runs only
            assert run.state is RunState.DONE and run.error is None and store.read(run.id) == made_up()
    assert [other.wait() for other in others] == [0, 0]
    runs = store.all()
    assert len({run.id for run in runs}) == len({run.sequence for run in runs}) == 17
    assert {run.name for run in runs} == {"shared", *(f"{name} {number}" for name in "ab" for number in range(8))}
    assert all(store.attachments(run.id) for run in runs if run.name != "shared")
    assert store.get(shared).tags in (("a", "7"), ("b", "7")) and runs == RunStore(store.root, read_only=True).all()
    assert not list(store.root.glob("*.damaged*"))


def test_threads_that_write_at_once_lose_nothing(store):
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(5):
                with store.begin(SETTINGS, f"{name} {number}", anew=True) as run:
                    run.journal.write("a", Chunk({}))
                    assert store.get(run.id).state is RunState.RUNNING
                    run.finish(made_up())
                store.all()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [] and [run.state for run in store.all()] == ["done"] * 15


def test_a_run_ends_in_another_thread_than_it_began(store):
    run = store.begin(SETTINGS)
    thread = threading.Thread(target=lambda: (run.finish(made_up()), run.__exit__(None, None, None)))
    thread.start()
    thread.join()
    assert store.get(run.id).state is RunState.DONE
    store.delete(run.id)
    assert store.purge(0) == [run.id]


def test_a_run_that_ends_while_it_is_looked_at_is_not_incomplete(store, monkeypatch):
    run = store.begin(SETTINGS)

    def ends(folder):
        run.finish(made_up())
        return True

    monkeypatch.setattr(RunFolder, "abandoned", ends)
    assert [each.state for each in store.all()] == ["done"]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_run_that_is_purged_while_it_is_looked_at_is_left_out(store, monkeypatch, read_only):
    kept = store.add(made_up())
    gone = [RunFolder(store.root / "runs" / ("0" * 12)), RunFolder(store.root / "runs" / kept)]
    monkeypatch.setattr(shelf, "folders_in", lambda runs: gone)
    assert [run.id for run in RunStore(store.root, read_only).all()] == [kept]


@pytest.mark.slow
def test_killed_before_any_line_a_process_harms_no_run_and_its_own_goes_on(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.store.killed", tmp_path, "40", "0"], cwd=ROOT, text=True,
        capture_output=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["found"]
    assert sum(found.values()) == 40 and set(found) == {"not begun", "incomplete", "done"}
