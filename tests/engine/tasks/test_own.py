"""Own tasks kept on disk: found again by content, never by anything else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engine.errors import HeadlightError
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Settings
from engine.tasks import own
from engine.tasks.prompts import Metric
from engine.tasks.table import Row

ROWS = (
    Row(4, " cat dog cow cat", " cat dog bag cat", "dog", "cow", "<b>first</b>"),
    Row(9, " cow dog cat cow", " cow bag cat cow", "dog", "cat|bag"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    return tmp_path / "own-tasks"


def test_what_is_kept_is_found_again(folder):
    task = own.own_task(ROWS, Metric.PROB_DIFF, "  Two\tanimals ")
    assert own.is_own(task.name) and task.title == "Two animals" and [row.number for row in task.rows] == [1, 2]
    own.keep(task)
    assert own.find_own(task.name) == task and own.kept() == (task,)
    assert [path.name for path in folder.iterdir()] == [f"{task.name}.json"]


def test_the_name_is_the_content(folder):
    names = {
        own.own_task(ROWS).name,
        own.own_task(ROWS, title="another title").name,
        own.own_task([replace(row, number=1) for row in ROWS]).name,
    }
    assert len(names) == 1
    assert own.own_task(ROWS[::-1]).name not in names
    assert own.own_task(ROWS, Metric.PROB_DIFF).name not in names


def test_a_title_is_made_up_where_there_is_none():
    assert own.own_task(ROWS).title == "Own task · 2 pairs"
    assert len(own.own_task(ROWS, title="x" * 500).title) == own.LONGEST_TITLE


def test_renamed_it_stays_the_same_task():
    task = own.own_task(ROWS, title="old")
    own.keep(task)
    before = own.kept_stamp()
    own.rename(task.name, "a new one")
    assert own.find_own(task.name).title == "a new one" and len(own.kept()) == 1 and own.kept_stamp() != before
    with pytest.raises(HeadlightError, match="Expected a title"):
        own.rename(task.name, " \n ")


def test_forgotten_it_is_gone():
    task = own.own_task(ROWS)
    own.keep(task)
    own.forget(task.name)
    own.forget(task.name)
    assert own.kept() == () and own.kept_stamp() == ()
    with pytest.raises(HeadlightError, match=f"no own task {task.name} on this machine"):
        own.find_own(task.name)


@pytest.mark.parametrize(
    "name", ["ioi", "own-", "own-123", "own-../../../x", "own-0123456789ab/..", "own-0123456789AB"]
)
def test_no_other_name_reaches_a_file(name):
    assert not own.is_own(name)
    own.forget(name)
    with pytest.raises(HeadlightError):
        own.find_own(name)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"rows": 3}', '{"rows": [1], "title": "", "metric": "x"}'])
def test_a_damaged_file_is_no_task(folder, content):
    task = own.own_task(ROWS)
    own.keep(task)
    (folder / f"{task.name}.json").write_text(content, "utf-8")
    assert own.kept() == ()


def test_rows_changed_behind_its_name_are_not_used(folder):
    task = own.own_task(ROWS)
    own.keep(task)
    path = folder / f"{task.name}.json"
    content = json.loads(path.read_text("utf-8"))
    content["rows"][0]["answer"] = "cow"
    path.write_text(json.dumps(content), "utf-8")
    assert own.kept() == ()


def test_a_cache_that_cannot_be_written_is_said_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "file"))
    with pytest.raises(HeadlightError, match="cannot be written"):
        own.keep(own.own_task(ROWS))


def test_it_runs_like_a_built_in_task_but_is_custom(toy_model):
    task = own.own_task(ROWS)
    own.keep(task)
    prepared = prepare(toy_model, Settings(model="toy-induction", task=task.name, pairs=16, seed=5), Watcher())
    assert prepared.custom and len(prepared.prompts) == 2 and prepared.settings.pairs == 2
    assert prepared.prompts.task == task.name and prepared.prompts.metric is Metric.LOGIT_DIFF
    first = prepare(toy_model, Settings(model="toy-induction", task=task.name, pairs=1), Watcher())
    assert first.prompts.pairs == prepared.prompts.pairs[:1]
    with pytest.raises(HeadlightError, match="no own task"):
        prepare(toy_model, Settings(task="own-0123456789ab"), Watcher())
