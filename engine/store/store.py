"""The run store: every run on disk, found again in any process, lost by no crash.

1. A run begins as a folder of its own, held by a lock (engine/store/folder.py), and ends by one file moved into it.
2. The folders are the truth; the index helps to find them (engine/store/shelf.py).
3. The order is one of counting, whatever the clock says.
4. A deleted run is marked, and gone for good a month later.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import Timeout

from engine.errors import HeadlightError
from engine.machine.atomic import sync_folder
from engine.record.json_values import Json
from engine.settings import Settings
from engine.store.about import About
from engine.store.attachments import read_attachments, write_attachment
from engine.store.files import told
from engine.store.folder import CHUNKS, HALF, PATIENCE, RunFolder, listed
from engine.store.home import home
from engine.store.open_run import OpenRun, with_record
from engine.store.run_record import read_record
from engine.store.shelf import Shelf
from engine.store.stored_run import RunState, StoredRun, key_of, key_of_plain, plain_settings
from engine.store.words import line, tags_of
from engine.tasks.custom import CUSTOM
from engine.version import SCHEMA

LONGEST_TEXT = 500  # of a model's or task's name
MONTH = 30 * 24 * 3600.0  # how long a deleted run can be brought back


class RunStore:
    """Runs below ``root`` (by default the user's data folder); made when the first one begins.

    ``read_only``: nothing is written, not even the index. Any thread may use it. Raises HeadlightError wherever the
    folder cannot be used, and for an id that is not there.
    """

    def __init__(self, root: Path | None = None, read_only: bool = False) -> None:
        self._shelf = Shelf(root or home(), read_only)

    @property
    def root(self) -> Path:
        return self._shelf.root

    @property
    def read_only(self) -> bool:
        return self._shelf.read_only

    def begin(
        self, settings: Settings, name: str = "", *, fingerprint: str = "", besides: str = "", anew: bool = False
    ) -> OpenRun:
        """A new run, or the one of the same settings that was interrupted, unless ``anew``.

        ``fingerprint`` of the model, if it is loaded: another model's chunks are then left alone. ``besides``: a
        digest of what else it depends on, such as rows of one's own. What a cancelled or failed run had done goes over
        to the new one.
        """
        about = _about(key_of(settings, besides), plain_settings(settings), name, fingerprint)
        with self._shelf.writing():
            if any(run.deleted is not None and time.time() - run.deleted > MONTH for run in self._shelf.known()):
                self._shelf.purge(MONTH)
            for run in [] if anew else self._shelf.known(about.run.key):
                if _goes_on(run, fingerprint) and (taken := self._taken_up(run, about)) is not None:
                    return taken
            return self._begun(about)

    def all(self, deleted: bool = False) -> list[StoredRun]:
        """Every run, the newest first; with ``deleted`` also those that are."""
        return [self._shelf.seen(run) for run in self._shelf.known() if deleted or run.deleted is None]

    def get(self, run: str) -> StoredRun:
        with told(self.root):
            found = listed(self._shelf.folder(run))
        if found is None:
            raise HeadlightError(f"There is no run {run} here: it never began.")
        return self._shelf.seen(found)

    def find(self, settings: Settings, fingerprint: str | None = None, *, besides: str = "") -> StoredRun | None:
        """The newest finished run of these settings, of that very model if ``fingerprint`` names it."""
        for run in self._shelf.known(key_of(settings, besides)):
            fits = fingerprint is None or run.fingerprint == fingerprint
            if fits and run.state is RunState.DONE and run.deleted is None:
                return run
        return None

    def read(self, run: str) -> Json:
        """The record; raises HeadlightError for a run that has none, or whose files were damaged."""
        folder = self._shelf.folder(run)
        with told(self.root):
            return read_record(folder, folder.about().files)

    def add(self, record: Json, name: str = "", tags: Sequence[str] = ()) -> str:
        """Keep a run that ended elsewhere; its id here."""
        settings = _settings_in(record)
        about = _about(key_of_plain(settings, _rows_in(record)), settings, name, "", tags_of(tags))
        state = RunState.DONE if record.get("complete", True) else RunState.CANCELLED
        with self._shelf.writing():
            folder = RunFolder(self._shelf.runs / secrets.token_hex(6))
            half = RunFolder(folder.path.with_name(f"{HALF}{folder.id}"))
            half.path.mkdir()
            try:
                numbered = self._shelf.numbered(about, folder.id)
                half.write_about(with_record(numbered, half, record, state, about.run.created))
                half.path.rename(folder.path)
            except BaseException:
                shutil.rmtree(half.path)
                raise
            sync_folder(self._shelf.runs)
            self._shelf.note(folder)
        return folder.id

    def attach(self, run: str, kind: str, name: str, content: Json) -> None:
        """Keep what was measured of a run later (kinds: engine/store/attachments.py)."""
        folder = self._shelf.folder(run)
        with self._shelf.writing():
            folder.about()  # of a later version: left as it is
            write_attachment(folder, kind, name, content)
            self._shelf.note(folder)

    def attachments(self, run: str) -> dict[str, dict[str, Any]]:
        """By kind and name."""
        with told(self.root):
            return read_attachments(self._shelf.folder(run))

    def rename(self, run: str, name: str) -> None:
        """To one line; an empty name takes it away."""
        short = line(name)
        self._shelf.change(self._shelf.folder(run), lambda about: replace(about, run=replace(about.run, name=short)))

    def tag(self, run: str, tags: Sequence[str]) -> None:
        """In place of those it had."""
        checked = tags_of(tags)
        self._shelf.change(self._shelf.folder(run), lambda about: replace(about, run=replace(about.run, tags=checked)))

    def delete(self, run: str) -> None:
        """Mark it; raises HeadlightError for one that a process is running."""
        if self.get(run).state is RunState.RUNNING:
            raise HeadlightError(f"The run {run} is under way. Stop it first, then delete it.")
        with self._shelf.writing():
            folder = self._shelf.folder(run)
            folder.mark_deleted()
            self._shelf.note(folder)

    def undelete(self, run: str) -> None:
        with self._shelf.writing():
            folder = self._shelf.folder(run)
            folder.unmark_deleted()
            self._shelf.note(folder)

    def purge(self, older_than_seconds: float = MONTH) -> list[str]:
        """Remove for good what was deleted that long ago, and what crashes left behind; ids of the runs removed."""
        return self._shelf.purge(older_than_seconds)

    def size(self) -> int:
        """Bytes on disk of all runs and the index."""
        return self._shelf.size()

    def rebuild(self) -> None:
        """The index anew from the folders; a damaged one is moved aside."""
        self._shelf.rebuild()

    def _begun(self, about: About, chunks: Path | None = None) -> OpenRun:
        """A run in a new folder; ``chunks`` move into it."""
        folder = RunFolder(self._shelf.runs / secrets.token_hex(6))
        folder.path.mkdir()
        lock = folder.lock()
        lock.acquire(timeout=PATIENCE)
        try:
            folder.write_about(self._shelf.numbered(about, folder.id))
            self._shelf.note(folder)
            if chunks is not None:
                chunks.rename(folder.path / CHUNKS)
        except BaseException:
            lock.release()
            raise
        return OpenRun(folder, lock, chunks is not None, self._shelf.change)

    def _taken_up(self, run: StoredRun, about: About) -> OpenRun | None:
        """The run itself if it is incomplete, a new one with the chunks of one that ended early; None if neither."""
        folder = RunFolder(self._shelf.runs / run.id)
        chunks = folder.path / CHUNKS
        lock = folder.lock()
        try:
            lock.acquire(timeout=PATIENCE)
        except (Timeout, OSError):  # it is under way, or its lock is damaged
            return None
        if run.state is RunState.RUNNING:
            return OpenRun(folder, lock, True, self._shelf.change)
        try:
            return self._begun(about, chunks) if chunks.is_dir() and not chunks.is_symlink() else None
        finally:
            lock.release()


def _goes_on(run: StoredRun, fingerprint: str) -> bool:
    """Whether a run of the same settings may be gone on with."""
    other = bool(fingerprint and run.fingerprint) and run.fingerprint != fingerprint
    return run.deleted is None and run.state is not RunState.DONE and not other


def _about(key: str, settings: Json, name: str, fingerprint: str, tags: tuple[str, ...] = ()) -> About:
    """Of a run that is about to begin."""
    run = StoredRun(
        id="", key=key, state=RunState.RUNNING, model=settings["model"], fingerprint=fingerprint,
        task=settings["task"], settings=settings, name=line(name), tags=tags, created=time.time(), ended=None,
        bytes=0, error=None, summary={}, deleted=None, sequence=0,
    )  # fmt: skip
    return About(run, {})


def _settings_in(record: Json) -> Json:
    """The settings of a record that somebody brings; raises HeadlightError for one that is no whole run."""
    settings = record.get("settings")
    texts = [record.get("model"), record.get("task")]
    named = all(isinstance(text, str) and 0 < len(text) <= LONGEST_TEXT for text in texts)
    if record.get("schema") != SCHEMA or not isinstance(settings, dict) or not named:
        raise HeadlightError(
            f"Expected the record of a run, schema {SCHEMA} with model, task and settings, got schema "
            f"{str(record.get('schema'))[:40]!r}. Give a file that discover or the app wrote."
        )
    return settings | {"model": record["model"], "task": record["task"]}


def _rows_in(record: Json) -> str:
    """What tells the rows of somebody's own task from others."""
    if record["task"] != CUSTOM:
        return ""
    return hashlib.sha256(json.dumps(record.get("prompts"), sort_keys=True).encode()).hexdigest()
