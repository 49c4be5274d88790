"""Folders and index kept together: what the store's every method does to them.

1. Whoever changes anything holds the store's lock, for a moment: two processes never overwrite each other.
2. A folder is changed first, then the index, whose failure is only logged: it is brought up to the folders by their
   stamps whenever it is asked. A damaged one is moved aside and made anew; where none can be used, as on a read-only
   disk or beside a newer Headlight, the folders themselves are read.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import HeadlightError
from engine.store.about import About
from engine.store.files import bytes_in, told
from engine.store.folder import CHUNKS, HALF, RunFolder, folder_of, folders_in, listed
from engine.store.index import Index
from engine.store.open_run import Change
from engine.store.stored_run import RunState, StoredRun

LOG = logging.getLogger("headlight.store")
RUNS, INDEX, LOCK = "runs", "index.sqlite", "store.lock"
WAIT = 30.0  # seconds for another process that changes something


class Shelf:
    """The runs below ``root``, which need not be there; any thread may use it."""

    def __init__(self, root: Path, read_only: bool) -> None:
        self.root, self.read_only, self.runs = root, read_only, root / RUNS
        self._index = Index(root / INDEX)
        self._lock = FileLock(root / LOCK, poll_interval=0.01)  # one a thread, which may take it again

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within this nobody else changes the store; raises HeadlightError where it cannot be written."""
        if self.read_only:
            raise HeadlightError("Runs are not kept here: this Headlight only reads what was kept before.")
        with told(self.root):
            self.runs.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=WAIT)
            except Timeout as error:
                raise HeadlightError(
                    f"Another process has been changing the runs in {self.root} for {WAIT:.0f} s. Try again when it is "
                    "done, or end it."
                ) from error
            try:
                yield
            finally:
                self._lock.release()

    def folder(self, run: str) -> RunFolder:
        with told(self.root):
            return folder_of(self.runs, run)

    def known(self, key: str | None = None) -> list[StoredRun]:
        """What the folders say of all runs, or of those of one key, the newest first."""
        with told(self.root):
            if self.read_only or not self.runs.is_dir():
                return self.from_folders(key)
            try:
                return self._from_index(key)
            except (sqlite3.Error, ValueError, TypeError, IndexError) as error:  # not to be opened, or not to be read
                LOG.warning("The index of runs in %s cannot be used: %s", self.root, error)
        try:
            self.rebuild()
            return self._index.rows(key)
        except (sqlite3.Error, HeadlightError) as error:
            LOG.warning("The folders of runs in %s are read one by one: %s", self.root, error)
            with told(self.root):
                return self.from_folders(key)

    def from_folders(self, key: str | None = None) -> list[StoredRun]:
        """The same without the index: slow, and always right."""
        stamps = self._stamps()
        runs = [run for run, _ in self._rows(stamps, stamps)]
        runs.sort(key=lambda run: (-run.sequence, -run.created, run.id))
        return [run for run in runs if key is None or run.key == key]

    def _from_index(self, key: str | None) -> list[StoredRun]:
        known, there = self._index.stamps(), self._stamps()
        changed = [run for run, stamp in there.items() if known.get(run) != stamp]
        gone = [run for run in known if run not in there]
        if changed or gone:
            self._index.put(self._rows(changed, there), gone)
        return self._index.rows(key)

    def rebuild(self) -> None:
        """The index anew from the folders; a damaged one is moved aside."""
        with self.writing():
            if self._index.is_damaged():
                self._index.set_aside()
            there = self._stamps()
            self._index.put(self._rows(there, there), [run for run in self._index.stamps() if run not in there])

    def seen(self, run: StoredRun) -> StoredRun:
        """``run``, incomplete if it says it is running and no process holds it."""
        folder = RunFolder(self.runs / run.id)
        if run.state is not RunState.RUNNING or not folder.abandoned():
            return run
        run = listed(folder) or run  # it may just have ended
        return replace(run, state=RunState.INCOMPLETE) if run.state is RunState.RUNNING else run

    def change(self, folder: RunFolder, change: Change, finished: bool = False) -> None:
        """What ``change`` makes of about.json takes its place; ``finished``: the chunks have done their service."""
        with self.writing():
            folder.write_about(change(folder.about()))
            if finished:
                shutil.rmtree(folder.path / CHUNKS, ignore_errors=True)  # purge takes away what is left
            self.note(folder)

    def note(self, folder: RunFolder) -> None:
        """Tell the index of a folder that was changed."""
        try:
            self._index.put(self._rows([folder.id], {folder.id: folder.stamp()}))
        except (sqlite3.Error, HeadlightError) as error:
            LOG.warning("The index of runs in %s was not told of %s: %s", self.root, folder.id, error)

    def numbered(self, about: About, run: str) -> About:
        """``about`` with its id and the next place in the order."""
        newest = self.known()
        return replace(about, run=replace(about.run, id=run, sequence=newest[0].sequence + 1 if newest else 1))

    def purge(self, older_than_seconds: float) -> list[str]:
        """Remove runs deleted that long ago, and what crashes left: runs that never began, chunks of finished ones,
        files half written or half removed. The ids of those that were deleted."""
        with self.writing():
            for half in self.runs.glob(f"{HALF}*"):
                shutil.rmtree(half)
            return [folder.id for folder in folders_in(self.runs) if self._purged(folder, older_than_seconds)]

    def size(self) -> int:
        """Bytes on disk of the runs and of their index."""
        with told(self.root):
            index = sum(path.lstat().st_size for path in self.root.glob(f"{INDEX}*"))
            return index + bytes_in(self.runs)

    def _purged(self, folder: RunFolder, older_than_seconds: float) -> bool:
        """Whether it was there to be removed, and is."""
        run = listed(folder)
        if not folder.abandoned():
            return False
        if run is None or (run.deleted is not None and time.time() - run.deleted >= older_than_seconds):
            folder.remove()
            return run is not None
        folder.tidy(finished=run.state is RunState.DONE)
        return False

    def _stamps(self) -> dict[str, str]:
        stamps = {}
        for folder in folders_in(self.runs):
            with suppress(FileNotFoundError):  # purged meanwhile
                stamps[folder.id] = folder.stamp()
        return stamps

    def _rows(self, runs: Iterable[str], stamps: Mapping[str, str]) -> list[tuple[StoredRun, str]]:
        """Each with the stamp it had before it was read: if it changes meanwhile, it is read again."""
        rows = []
        for run in runs:
            with suppress(FileNotFoundError):
                if (found := listed(RunFolder(self.runs / run))) is not None:
                    rows.append((found, stamps[run]))
        return rows
