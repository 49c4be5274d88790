"""The index follows the folders, whatever happened to either of them."""

import json
import random
import shutil
import sqlite3
from collections.abc import Callable

import pytest

from engine.errors import HeadlightError
from engine.store import index as index_module
from engine.store.index import Index
from engine.store.store import RunStore
from tests.engine.store.records import SETTINGS, made_up

# As the first version made it.
VERSION_1 = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, state TEXT NOT NULL, model TEXT NOT NULL, task TEXT NOT NULL,
    settings TEXT NOT NULL, name TEXT NOT NULL, created REAL NOT NULL, ended REAL, bytes INTEGER NOT NULL,
    error TEXT, summary TEXT NOT NULL, deleted REAL
);
PRAGMA user_version = 1;
"""


def slow(store: RunStore) -> list:
    return RunStore(store.root, read_only=True).all(deleted=True)


def test_an_index_of_version_1_is_brought_up_and_filled_from_the_folders(store):
    runs = [store.add(made_up(), name, [name]) for name in ("a", "b")]
    expected = store.all()
    path = store.root / "index.sqlite"
    for each in store.root.glob("index.sqlite*"):
        each.unlink()
    old = sqlite3.connect(path)
    old.executescript(VERSION_1)
    old.executemany(
        "INSERT INTO runs VALUES (?, 'k', 'done', 'm', 't', '{}', 'old', 1.0, 2.0, 3, NULL, '{}', NULL)",
        [(runs[0],), ("0" * 12,)],
    )
    old.commit()
    old.close()
    assert store.all() == expected and [run.tags for run in expected] == [("b",), ("a",)]
    new = sqlite3.connect(path)
    assert new.execute("PRAGMA user_version").fetchone() == (2,)
    assert new.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert new.execute("SELECT count(*) FROM runs").fetchone() == (2,), "a run that is not there was forgotten"
    new.close()
    assert not list(store.root.glob("*.damaged*")), "it was no damage"


def test_version_1_is_what_the_first_step_makes(tmp_path, monkeypatch):
    by_hand, by_step = (sqlite3.connect(tmp_path / name) for name in ("hand", "step"))
    by_hand.executescript(VERSION_1)
    for statement in index_module.MIGRATIONS[0]:
        by_step.execute(statement)
    columns = [list(each.execute("SELECT name, type, \"notnull\", pk FROM pragma_table_info('runs')"))
               for each in (by_hand, by_step)]  # fmt: skip
    assert columns[0] == columns[1] and len(columns[0]) == 13


def test_an_index_of_a_newer_headlight_is_left_as_it_is_and_the_folders_are_read(store, caplog):
    first = store.add(made_up(), "a")
    _execute(store.root / "index.sqlite", "PRAGMA user_version = 3")
    with pytest.raises(HeadlightError, match="version 3"):
        store.rebuild()
    second = store.begin(SETTINGS, "b")
    second.finish(made_up())
    store.rename(first, "c")
    assert [run.name for run in store.all()] == ["b", "c"] and "version 3" in caplog.text
    database = sqlite3.connect(store.root / "index.sqlite")
    assert database.execute("PRAGMA user_version").fetchone() == (3,)
    assert database.execute("SELECT name FROM runs").fetchall() == [("a",)]
    database.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"not a database, but long enough to look like one" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: _execute(path, "DROP TABLE runs"),
        lambda path: _execute(path, "UPDATE runs SET settings = '{'"),
        lambda path: _execute(path, "UPDATE runs SET state = 'x'"),
        lambda path: _execute(path, "UPDATE runs SET stamp = CAST(x'ff' AS TEXT)"),
        lambda path: _execute(path, "UPDATE runs SET name = CAST(x'ff' AS TEXT)"),
        lambda path: (path.unlink(), path.symlink_to(path.parent.parent / "outside")),
    ],
)
def test_a_damaged_index_is_moved_aside_and_made_anew(store, damage):
    for name in "ab":
        store.add(made_up(), name)
    expected, path = store.all(), store.root / "index.sqlite"
    _execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    (outside := store.root.parent / "outside").touch()
    damage(path)
    assert store.all() == expected and store.find(SETTINGS) == expected[0]
    assert [each.name for each in store.root.glob("*.damaged-?")] == ["index.sqlite.damaged-1"]
    with store.begin(SETTINGS) as run:
        run.finish(made_up())
    assert store.all()[0].id == run.id and len(store.all()) == 3
    assert outside.read_bytes() == b"", "a link is not followed"


def test_an_index_that_is_gone_is_made_anew_in_the_same_order(store):
    for name in "abc":
        store.add(made_up(), name)
    expected = store.all()
    for each in store.root.glob("index.sqlite*"):
        each.unlink()
    assert store.all() == expected


def test_where_the_index_cannot_be_used_the_folders_are_read(store, monkeypatch, caplog):
    store.add(made_up(), "a")
    expected = store.all()

    def refused(*arguments, **more):
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(index_module.sqlite3, "connect", refused)
    assert store.all() == expected and "read one by one" in caplog.text
    store.rename(expected[0].id, "b")
    assert store.add(made_up(), "c") and [run.name for run in store.all()] == ["c", "b"]


def test_what_was_done_behind_its_back_is_seen(store):
    first, second = store.add(made_up(), "a"), store.add(made_up(), "b")
    assert len(store.all()) == 2
    about = store.root / "runs" / first / "about.json"
    about.write_text(json.dumps(json.loads(about.read_text("utf-8")) | {"name": "longer"}), "utf-8")
    assert [run.name for run in store.all()] == ["b", "longer"]
    shutil.rmtree(store.root / "runs" / second)
    assert [run.name for run in store.all()] == ["longer"]
    other = RunStore(store.root.parent / "other")
    copied = other.add(made_up(), "from afar")
    shutil.copytree(other.root / "runs" / copied, store.root / "runs" / copied)
    assert {run.name for run in store.all()} == {"longer", "from afar"}


@pytest.mark.parametrize("seed", range(4))
def test_after_any_acts_the_index_says_what_the_folders_say(store, seed):
    draw = random.Random(seed)
    ids = {store.add(made_up(), "first")}
    for step in range(40):
        act = draw.choice(ACTS)
        ids = act(store, draw.choice(sorted(ids)) if ids else store.add(made_up()), f"step {step}", draw, ids)
        assert store.all(deleted=True) == slow(store), (step, act)
        assert {run.id for run in store.all(deleted=True)} == ids, (step, act)


def _begin(store: RunStore, run: str, name: str, draw: random.Random, ids: set[str]) -> set[str]:
    with store.begin(SETTINGS, name) as begun:
        if draw.random() < 0.5:
            begun.finish(made_up())
    return {run, begun.id, *ids}


def _break(store: RunStore, run: str, name: str, draw: random.Random, ids: set[str]) -> set[str]:
    (store.root / "index.sqlite").write_bytes(draw.randbytes(9000))
    return {run, *ids}


def _simply(act: Callable[[RunStore, str, str], object]) -> Callable[..., set[str]]:
    def with_ids(store: RunStore, run: str, name: str, draw: random.Random, ids: set[str]) -> set[str]:
        act(store, run, name)
        return {run, *ids}

    return with_ids


ACTS = (
    _begin,
    _break,
    lambda store, run, name, draw, ids: {run, store.add(made_up(), name), *ids},
    lambda store, run, name, draw, ids: {run, *ids} - set(store.purge(0)),
    _simply(lambda store, run, name: store.rename(run, name)),
    _simply(lambda store, run, name: store.tag(run, [name])),
    _simply(lambda store, run, name: store.delete(run)),
    _simply(lambda store, run, name: store.undelete(run)),
    _simply(lambda store, run, name: store.attach(run, "labels", name, {})),
    _simply(lambda store, run, name: store.rebuild()),
)


def test_texts_are_values_and_never_statements(store):
    words = "'); DROP TABLE runs; --"
    run = store.add(made_up(model=words, task=words), words, [words.replace(",", "")])
    store.rename(run, words)
    assert [each.name for each in store.all()] == [words] and Index(store.root / "index.sqlite").rows(words) == []


def _execute(path, statement: str) -> None:
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()
