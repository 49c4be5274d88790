"""The run store: what is kept of a run, from its begin to its last purge."""

import json

import pytest
import torch

from engine.errors import Cancelled, HeadlightError
from engine.notes.journal import Chunk
from engine.settings import Settings
from engine.store.store import RunStore
from engine.store.stored_run import RunState
from tests.engine.store.records import SETTINGS, made_up


def test_a_finished_run_is_found_listed_and_read_exactly(store):
    with store.begin(SETTINGS, "first") as run:
        assert not run.resumed and store.get(run.id).state is RunState.RUNNING
        run.journal.write("a", Chunk({"x": 0.1}, {"t": torch.ones(2)}))
        run.finish(made_up())
    kept = store.get(run.id)
    assert store.all() == [kept] and store.find(SETTINGS) == kept and store.read(run.id) == made_up()
    assert (kept.state, kept.name, kept.model, kept.task) == ("done", "first", "toy-induction", "induction-random")
    assert kept.summary == {
        "heads": 2, "edges": 1, "performance": 98.5, "accuracy": 0.75, "seconds": 3.0, "flops": 30.0
    }  # fmt: skip
    assert kept.fingerprint == "f" * 16 and kept.error is None and kept.ended >= kept.created
    assert Settings(**kept.settings) == SETTINGS
    assert store.find(SETTINGS, "f" * 16) == kept and store.find(SETTINGS, "e" * 16) is None
    assert store.find(Settings(model="toy-induction", task="induction-random", pairs=5)) is None
    files = sorted(path.name for path in (store.root / "runs" / run.id).iterdir())
    assert files == ["about.json", "arrays.safetensors", "lock", "run.json"], "chunks are kept only until then"
    assert "[[" not in (store.root / "runs" / run.id / "run.json").read_text("utf-8")


def test_a_run_left_without_an_end_is_incomplete_and_taken_up_with_its_chunks(store):
    with store.begin(SETTINGS) as run:
        run.journal.write("a/b", Chunk({"x": 0.1}))
    assert store.get(run.id).state is RunState.INCOMPLETE
    with store.begin(SETTINGS, anew=True) as other:
        assert other.id != run.id and not other.resumed and other.journal.read("a/b") is None
        other.finish(made_up())
    with store.begin(SETTINGS) as again:
        assert again.id == run.id and again.resumed and again.journal.read("a/b").values == {"x": 0.1}
        again.finish(made_up())
    assert [each.state for each in store.all()] == ["done", "done"]


def test_how_a_run_ended_is_told_and_its_chunks_go_on(store):
    failed = store.begin(SETTINGS)
    failed.journal.write("a", Chunk({"x": 1}))
    with pytest.raises(RuntimeError), failed:
        raise RuntimeError("no more")
    cancelled = store.begin(SETTINGS)
    assert cancelled.id != failed.id and cancelled.resumed and cancelled.journal.read("a").values == {"x": 1}
    with pytest.raises(Cancelled), cancelled:
        raise Cancelled
    assert store.get(failed.id).error == "RuntimeError: no more"
    assert [run.state for run in store.all()] == ["cancelled", "failed"]
    with store.begin(SETTINGS) as part:
        part.finish(made_up(complete=False))
    with store.begin(SETTINGS) as more:
        assert more.id != part.id and more.resumed and more.journal.read("a").values == {"x": 1}
    store.delete(more.id)
    assert store.get(part.id).state is RunState.CANCELLED and store.read(part.id)["complete"] is False
    with pytest.raises(HeadlightError, match="no record"):
        store.read(failed.id)


def test_chunks_of_another_model_or_of_a_deleted_run_are_left_alone(store):
    with store.begin(SETTINGS, fingerprint="a") as first:
        first.journal.write("x", Chunk({}))
    with store.begin(SETTINGS, fingerprint="b") as second:
        assert second.id != first.id and not second.resumed
        second.finish(made_up())
    store.delete(first.id)
    with store.begin(SETTINGS, fingerprint="a") as third:
        assert third.id != first.id and not third.resumed
    with store.begin(SETTINGS, fingerprint="a") as fourth:
        assert fourth.id == third.id
    with store.begin(SETTINGS, besides="other rows") as fifth:
        assert not fifth.resumed and fifth.id != third.id
    store.undelete(first.id)
    assert {run.id: run.state for run in store.all()}[first.id] is RunState.INCOMPLETE


def test_names_tags_attachments_deletion_and_its_undoing(store):
    run = store.add(made_up(), "from elsewhere", ["a", "b", "a"])
    store.rename(run, " two\nlines ")
    store.tag(run, ["c"])
    store.attach(run, "evaluation", "mean/1000", {"x": [1.5]})
    store.attach(run, "labels", "../../up", {"9.6": "mover"})
    kept = store.get(run)
    assert kept.name == "two lines" and kept.tags == ("c",) and store.all() == [kept]
    assert store.attachments(run) == {
        "evaluation": {"mean/1000": {"x": [1.5]}}, "labels": {"../../up": {"9.6": "mover"}}
    }  # fmt: skip
    assert kept.bytes > 0 and store.size() > kept.bytes
    store.delete(run)
    assert store.all() == [] and store.find(SETTINGS) is None
    [deleted] = store.all(deleted=True)
    assert deleted.deleted is not None
    store.undelete(run)
    assert store.all() == [kept] and store.find(SETTINGS) == kept, "the task's own metric and none are the same"
    store.delete(run)
    assert store.purge(3600) == [] and store.purge(0) == [run] and store.all(deleted=True) == []
    with pytest.raises(HeadlightError, match="purged"):
        store.get(run)


def test_the_index_says_what_the_folders_say(store):
    for name in "abc":
        store.add(made_up(), name)
    slow = RunStore(store.root, read_only=True)
    assert [run.name for run in store.all()] == ["c", "b", "a"] and store.all() == slow.all()
    before = json.dumps([run.name for run in store.all()])
    store.rebuild()
    assert json.dumps([run.name for run in store.all()]) == before


def test_what_is_read_only_is_not_written(store, tmp_path):
    store.add(made_up())
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    shown = RunStore(store.root, read_only=True)
    assert len(shown.all()) == 1 and shown.find(SETTINGS) is not None
    with pytest.raises(HeadlightError, match="only reads"):
        shown.begin(SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before
    assert RunStore(tmp_path / "nowhere").all() == [] and not (tmp_path / "nowhere").exists()
