"""The folder of one run: which files there are, who holds it, what it says about itself.

::

    runs/<id>/about.json           what is known of the run, last written and last believed
              run.json             its record without the matrices, arrays.safetensors: these
              attachments/         what was measured of it later, a file each
              chunks/              what an unfinished run has done, a file each
              deleted.json         there as long as the run is deleted: taking it away undoes that
              lock                 held by the process that runs it

An id is checked before it becomes a path, and links are not followed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import HeadlightError
from engine.machine.atomic import TEMPORARY, write_bytes
from engine.store.about import LATEST, RECORD, About, about_bytes, about_of
from engine.store.files import bytes_in, read_file
from engine.store.stored_run import RunState, StoredRun

ID = re.compile(r"[0-9a-f]{12}")
ABOUT, DELETED, LOCK = "about.json", "deleted.json", "lock"
CHUNKS, ATTACHMENTS = "chunks", "attachments"
HALF = "half-"  # how the name of a folder begins that is being removed, or is not yet complete
PATIENCE = 0.5  # seconds to wait for a lock that somebody may only be looking at


@dataclass(frozen=True)
class RunFolder:
    """Where one run is kept, whether or not it is there (any more)."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    def exists(self) -> bool:
        return self.path.is_dir() and not self.path.is_symlink()

    def lock(self) -> FileLock:
        """Free, until it is acquired; any thread may release it."""
        return FileLock(self.path / LOCK, thread_local=False, poll_interval=0.01)

    def about(self) -> About:
        """Raises HeadlightError for one that is damaged or of a later version, OSError if it cannot be read."""
        about = about_of(read_file(self.path / ABOUT))
        if about.run.id != self.id:
            raise HeadlightError(f"about.json is that of the run {about.run.id[:20]!r}. Give the folder that name.")
        return about

    def write_about(self, about: About) -> None:
        write_bytes(about_bytes(about), self.path / ABOUT)

    def deleted(self) -> float | None:
        """When it was deleted, if it is; where the mark is damaged, when that was written."""
        try:
            when = float(json.loads(read_file(self.path / DELETED))["deleted"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            when = LATEST
        return when if 0 <= when < LATEST else (self.path / DELETED).lstat().st_mtime

    def mark_deleted(self) -> None:
        write_bytes(json.dumps({"deleted": time.time()}).encode(), self.path / DELETED)

    def unmark_deleted(self) -> None:
        (self.path / DELETED).unlink(missing_ok=True)

    def stamp(self) -> str:
        """Changes whenever the run does: what lies in its folder, with size and time."""
        parts = []
        for entry in os.scandir(self.path):
            about = entry.stat(follow_symlinks=False)
            parts.append(f"{entry.name}:{entry.inode()}:{about.st_size}:{about.st_mtime_ns}")
        return " ".join(sorted(part for part in parts if not part.startswith(f"{LOCK}:")))

    def abandoned(self) -> bool:
        """Whether no process holds it; where that cannot be told, somebody may."""
        if not (self.path / LOCK).exists():  # a copy: whoever runs it has made one first
            return True
        lock = self.lock()
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            return False
        lock.release()
        return True

    def tidy(self, finished: bool) -> None:
        """Take away files half written, and the chunks of a run that is ``finished``. Nobody may be writing here."""
        if finished:
            shutil.rmtree(self.path / CHUNKS, ignore_errors=True)
        for place in (self.path, self.path / CHUNKS, self.path / ATTACHMENTS):
            for half in [] if place.is_symlink() else place.glob(f"{TEMPORARY}*"):
                half.unlink()

    def remove(self) -> None:
        """For good: out of sight at once, then file by file. What a crash leaves of that, the next purge takes away."""
        away = self.path.with_name(f"{HALF}{self.id}-{time.time_ns()}")
        self.path.rename(away)
        shutil.rmtree(away)


def folder_of(runs: Path, run: str) -> RunFolder:
    """The folder of a run that is there; raises HeadlightError for an id that is none or of none."""
    if ID.fullmatch(run) is None:
        raise HeadlightError(f"Expected the id of a run, 12 digits from 0 to f, got {run[:40]!r}. See: engine runs.")
    folder = RunFolder(runs / run)
    if not folder.exists():
        raise HeadlightError(f"There is no run {run} here: it was purged, or is kept elsewhere. See: engine runs.")
    return folder


def folders_in(runs: Path) -> list[RunFolder]:
    """All real folders named by an id; none if ``runs`` is not there. Raises OSError if it cannot be read."""
    try:
        with os.scandir(runs) as entries:
            names = [each.name for each in entries if ID.fullmatch(each.name) and each.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [RunFolder(runs / name) for name in sorted(names)]


def listed(folder: RunFolder) -> StoredRun | None:
    """What is known of a run; None for a folder whose run never began. A damaged run is a failed one that says why."""
    try:
        about = folder.about()
    except FileNotFoundError as error:
        if not (folder.path / RECORD).exists():
            return None
        return _damaged(folder, f"about.json is missing: {error.strerror}. Delete the run, or restore the file.")
    except (OSError, HeadlightError) as error:
        return _damaged(folder, str(error))
    run = replace(about.run, bytes=bytes_in(folder.path), deleted=folder.deleted())
    wrong = next((name for name, mark in about.files.items() if _size(folder.path / name) != mark.size), None)
    if wrong is None:
        return run
    return replace(run, state=RunState.FAILED, error=f"{wrong} was damaged or lost: it is not what was written.")


def _size(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except OSError:
        return None


def _damaged(folder: RunFolder, error: str) -> StoredRun:
    created = folder.path.stat().st_mtime
    return StoredRun(
        id=folder.id, key="", state=RunState.FAILED, model="", fingerprint="", task="", settings={}, name="", tags=(),
        created=created, ended=None, bytes=bytes_in(folder.path), error=error, summary={}, deleted=folder.deleted(),
        sequence=0,
    )  # fmt: skip
