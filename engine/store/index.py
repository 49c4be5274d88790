"""The index: one SQLite file by which runs are found without opening their folders.

1. It repeats what the folders say and is never believed against them: each row has the stamp its folder had then.
2. Its version is PRAGMA user_version; an older file is brought up step by step, a newer one is left alone.
3. WAL, so that readers never wait; writing takes a short transaction each.
4. A file that is no such index (any more) is moved aside, and a new one begun.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import HeadlightError
from engine.store.stored_run import RunState, StoredRun

LOG = logging.getLogger("headlight.store")
WAIT = 10.0  # seconds for another process to finish its transaction
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
DAMAGED_WORDS = ("no such", "Could not decode")  # a table or column that is gone; text that is none

# Step i brings version i to i + 1. Rows whose stamp is empty are read from their folders again.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE runs (
            id TEXT PRIMARY KEY, key TEXT NOT NULL, state TEXT NOT NULL, model TEXT NOT NULL, task TEXT NOT NULL,
            settings TEXT NOT NULL, name TEXT NOT NULL, created REAL NOT NULL, ended REAL, bytes INTEGER NOT NULL,
            error TEXT, summary TEXT NOT NULL, deleted REAL
        )""",
    ),
    (
        "ALTER TABLE runs ADD COLUMN fingerprint TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE runs ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN stamp TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX runs_by_key ON runs (key)",
    ),
)
VERSION = len(MIGRATIONS)
COLUMNS = (
    "id", "key", "state", "model", "fingerprint", "task", "settings", "name", "tags", "created", "ended", "bytes",
    "error", "summary", "deleted", "sequence", "stamp",
)  # fmt: skip
PLACES = ", ".join(f":{name}" for name in COLUMNS)
AS_JSON = ("settings", "tags", "summary")
NEWEST_FIRST = "ORDER BY sequence DESC, created DESC, id"


class Index:
    """Opened for each call anew, so that any thread may ask. Raises sqlite3.Error where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, key: str | None = None) -> list[StoredRun]:
        """All runs, or those of one key, the newest first."""
        where, values = ("", ()) if key is None else ("WHERE key = ?", (key,))
        with self._open() as database:
            return [_run(row) for row in database.execute(f"SELECT * FROM runs {where} {NEWEST_FIRST}", values)]

    def stamps(self) -> dict[str, str]:
        with self._open() as database:
            return {row["id"]: row["stamp"] for row in database.execute("SELECT id, stamp FROM runs")}

    def put(self, rows: Iterable[tuple[StoredRun, str]], gone: Iterable[str] = ()) -> None:
        """Runs with their stamps take the place of what was there; those ``gone`` are forgotten."""
        with self._open() as database, _transaction(database):
            database.executemany(f"INSERT OR REPLACE INTO runs ({', '.join(COLUMNS)}) VALUES ({PLACES})",
                                 [_values(run, stamp) for run, stamp in rows])  # fmt: skip
            database.executemany("DELETE FROM runs WHERE id = ?", [(each,) for each in gone])

    def is_damaged(self) -> bool:
        """Whether the file is there and is no index; raises HeadlightError for one of a newer Headlight."""
        if self._path.is_symlink() or self._path.is_dir():
            return True
        try:
            with self._open() as database:
                fine = database.execute("PRAGMA quick_check").fetchone()[0] == "ok"
                list(map(_run, database.execute("SELECT * FROM runs")))
        except sqlite3.DatabaseError as error:
            code, words = getattr(error, "sqlite_errorcode", None), str(error)
            return code in DAMAGED or any(each in words for each in DAMAGED_WORDS)
        except HeadlightError:
            raise
        except (ValueError, TypeError, IndexError):
            return True
        return not fine

    def set_aside(self) -> Path:
        """Move the file, with what belongs to it, beside its place; the next call begins a new one."""
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        for ending in ("-wal", "-shm", ""):
            part = self._path.with_name(f"{self._path.name}{ending}")
            if part.exists() or part.is_symlink():
                part.rename(f"{aside}{ending}")
        LOG.warning("The index %s was damaged. It is kept as %s and made anew.", self._path, aside)
        return aside

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._path.is_symlink():
            raise sqlite3.DatabaseError("it is a link, which is not followed")
        database = sqlite3.connect(self._path, timeout=WAIT, isolation_level=None)
        try:
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            _migrate(database, self._path)
            yield database
        finally:
            database.close()


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _version(database: sqlite3.Connection, path: Path) -> int:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= VERSION:
        raise HeadlightError(
            f"The index of runs {path} has version {version}, this Headlight knows {VERSION}: a newer one made it. "
            "Update Headlight, or move that file away: it is made again from the folders of the runs."
        )
    return version


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    if _version(database, path) == VERSION:
        return
    with _transaction(database):
        for step in range(_version(database, path), VERSION):  # asked again: another process may have been here
            for statement in MIGRATIONS[step]:
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")


def _values(run: StoredRun, stamp: str) -> dict[str, Any]:
    values = {name: getattr(run, name) for name in COLUMNS if name != "stamp"} | {"stamp": stamp}
    return values | {name: json.dumps(values[name]) for name in AS_JSON} | {"state": run.state.value}


def _run(row: Mapping[str, Any]) -> StoredRun:
    values = {name: row[name] for name in COLUMNS if name != "stamp"}
    values |= {name: json.loads(values[name]) for name in AS_JSON}
    return StoredRun(**values | {"state": RunState(values["state"]), "tags": tuple(values["tags"])})
