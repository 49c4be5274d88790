"""Full disks, read-only folders, clocks set back: told in a sentence, and nothing that counted is lost."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import HeadlightError
from engine.notes.journal import Chunk
from engine.store import files
from engine.store.store import MONTH, RunStore
from engine.store.stored_run import RunState
from tests.engine.store.records import SETTINGS, made_up

ROOT = Path(__file__).parents[3]
CALLS = ("open", "fsync", "replace")  # what writing a file takes


@contextmanager
def full_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From the call of that number on, every call that writes a file says that the disk is full."""
    done = 0

    def limited(name: str):
        whole = getattr(os, name)

        def call(*arguments, **more):
            nonlocal done
            if name != "open" or arguments[1] & os.O_CREAT:
                done += 1
                if done > calls:
                    raise OSError(errno.ENOSPC, "No space left on device")
            return whole(*arguments, **more)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(files.os, name, limited(name))
        yield


def refusal(act: Callable[[], object]) -> str:
    try:
        act()
    except HeadlightError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("calls", range(14))
def test_a_run_that_ends_on_a_full_disk_keeps_its_chunks_and_can_end_later(store, monkeypatch, calls):
    sound = store.add(made_up(), "sound")
    with store.begin(SETTINGS) as run:
        run.journal.write("a", Chunk({"x": 1}))
        with full_after(calls, monkeypatch):
            said = refusal(lambda: run.finish(made_up()))
        assert ("No space left" in said and "HEADLIGHT_HOME" in said and str(store.root) in said) == (calls < 12)
        assert (store.get(run.id).state is RunState.RUNNING) == (calls < 11), "the last call brings its end to the disk"
        assert store.read(sound) == made_up() and len(store.all()) == 2
        if calls < 11:
            assert run.journal.read("a").values == {"x": 1}
            assert "no record" in refusal(lambda: store.read(run.id))
        if said:
            run.finish(made_up())
    assert store.get(run.id).state is RunState.DONE and store.read(run.id) == made_up()
    assert not list(store.root.rglob(".*")), "nothing half written stays"


def test_a_run_that_cannot_end_at_all_is_taken_up_by_the_next(store, monkeypatch):
    run = store.begin(SETTINGS)
    run.journal.write("a", Chunk({"x": 1}))
    with full_after(0, monkeypatch):
        run.journal.write("b", Chunk({"x": 2}))
        with pytest.raises(HeadlightError, match="No space left"), run:
            run.finish(made_up())
    assert run.journal.problem.errno == errno.ENOSPC
    with store.begin(SETTINGS) as again:
        assert again.id == run.id and again.journal.read("a").values == {"x": 1} and again.journal.read("b") is None


@pytest.mark.parametrize("calls", range(12))
def test_what_cannot_be_added_or_changed_leaves_what_was(store, monkeypatch, calls):
    run = store.add(made_up(), "a")
    store.attach(run, "labels", "l", {"x": 1})
    before = store.get(run)
    acts = (
        lambda: store.add(made_up(), "b"), lambda: store.rename(run, "b"), lambda: store.begin(SETTINGS, "b"),
        lambda: store.attach(run, "labels", "l", {"x": 2}), lambda: store.delete(run),
    )  # fmt: skip
    for act in acts:
        with full_after(calls, monkeypatch):
            said = refusal(act)
        assert said == "" or "No space left" in said
        [kept] = [each for each in store.all(deleted=True) if each.id == run]
        assert kept.name in ("a", "b") and store.read(run) == made_up()
        assert store.attachments(run)["labels"]["l"] in ({"x": 1}, {"x": 2})
        assert all(each.error is None for each in store.all(deleted=True))
        if calls == 0:
            assert kept == before and len(store.all(deleted=True)) == 1


SMALL = """
import resource, signal, sys
from pathlib import Path
import torch
from engine.errors import HeadlightError
from engine.notes.journal import Chunk
from engine.store.store import RunStore
from tests.engine.store.records import SETTINGS, made_up
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with RunStore(Path(sys.argv[1])).begin(SETTINGS) as run:
    run.journal.write("a", Chunk({"x": 1}))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    run.journal.write("b", Chunk({}, {"t": torch.zeros(10_000)}))
    assert run.journal.problem is not None and run.journal.read("b") is None
    try:
        run.finish(made_up(scores={"flap": torch.rand(100, 100).tolist()}))
    except HeadlightError as error:
        print(error)
"""


def test_a_limit_of_the_system_itself_is_told_and_the_chunks_stay(store):
    """Files of 20 kB at most: the write itself fails halfway, as on a full disk."""
    sound = store.add(made_up())
    done = subprocess.run(
        [sys.executable, "-c", SMALL, str(store.root)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout and "HEADLIGHT_HOME" in done.stdout
    assert store.read(sound) == made_up() and not list(store.root.rglob(".*"))
    with store.begin(SETTINGS) as again:
        assert again.resumed and again.journal.read("a").values == {"x": 1}


@pytest.mark.parametrize("below", ["", "below"])
def test_a_home_that_is_a_file_is_told(tmp_path, below):
    (tmp_path / "home").write_text("x")
    store = RunStore(tmp_path / "home" / below)
    for act in (lambda: store.begin(SETTINGS), lambda: store.add(made_up()), store.purge, store.rebuild, store.all):
        with pytest.raises(HeadlightError, match=r"home.*HEADLIGHT_HOME"):
            act()
    assert store.size() == 0 and (tmp_path / "home").read_text() == "x"


def test_runs_that_are_a_file_are_told(tmp_path):
    (tmp_path / "runs").write_text("x")
    with pytest.raises(HeadlightError, match="HEADLIGHT_HOME"):
        RunStore(tmp_path).begin(SETTINGS)
    with pytest.raises(HeadlightError, match="HEADLIGHT_HOME"):
        RunStore(tmp_path).all()


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from engine.errors import HeadlightError
from engine.store.store import RunStore
from tests.engine.store.records import SETTINGS, made_up
warm = RunStore(Path(sys.argv[1] + "-warm"))  # everything is imported while it may be
warm.rename(warm.add(made_up()), "a")
print(len(warm.all()))
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
store = RunStore(Path(sys.argv[1]))
print([run.name for run in store.all()], store.find(SETTINGS).name, store.read(sys.argv[2]) == made_up())
for act in (lambda: store.begin(SETTINGS), lambda: store.add(made_up()), lambda: store.rename(sys.argv[2], "b"),
            lambda: store.delete(sys.argv[2])):
    try:
        act()
    except HeadlightError as error:
        print("Permission denied" in str(error) and "HEADLIGHT_HOME" in str(error))
"""


def test_a_folder_that_may_only_be_read_is_read_and_told():
    outer = Path(tempfile.mkdtemp())  # not below pytest's folders, which are closed to others
    store = RunStore(outer / "home")
    run = store.add(made_up(), "a")
    for path in [store.root, *store.root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    outer.chmod(0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(store.root), run], cwd=ROOT, capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip
    finally:
        for path in [store.root, *store.root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(outer)
    assert done.stdout.splitlines() == ["1", "['a'] a True", "True", "True", "True", "True"], done.stderr


def test_a_clock_that_is_set_back_changes_no_order_and_no_undoing(store, monkeypatch):
    now = time.time()
    first = store.add(made_up(), "first")
    with store.begin(SETTINGS, "second") as second:
        monkeypatch.setattr(time, "time", lambda: now - 1e6)
        second.finish(made_up())
    third = store.add(made_up(), "third")
    assert [run.name for run in store.all()] == ["third", "second", "first"]
    kept = store.get(second.id)
    assert kept.ended < kept.created and kept.seconds == 0 and store.find(SETTINGS).id == third
    store.delete(first)
    monkeypatch.setattr(time, "time", lambda: now - 2e6)
    assert store.purge() == [] and store.purge(0) == [], "deleted in the future: kept"
    store.undelete(first)
    assert len(store.all()) == 3
    store.rebuild()
    assert [run.name for run in store.all()] == ["third", "second", "first"]


def test_what_was_deleted_a_month_ago_goes_when_the_next_run_begins(store, monkeypatch):
    now = time.time()
    run, other = store.add(made_up(), "a"), store.add(made_up(), "b")
    store.delete(run)
    monkeypatch.setattr(time, "time", lambda: now + MONTH - 60)
    store.begin(SETTINGS).cancel()
    assert len(store.all(deleted=True)) == 3
    monkeypatch.setattr(time, "time", lambda: now + MONTH + 60)
    store.begin(SETTINGS).cancel()
    assert {each.id for each in store.all(deleted=True)} > {other} and run not in {
        each.id for each in store.all(deleted=True)
    }
