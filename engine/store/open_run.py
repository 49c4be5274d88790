"""A run under way: its place in the store is held by this process until it has ended.

However a process goes, the system frees the lock; a run that says it is running and whose lock is free is incomplete,
and what it had done lies in its chunks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from filelock import FileLock

from engine.errors import Cancelled, HeadlightError
from engine.record.json_values import Json
from engine.store.about import About
from engine.store.folder import CHUNKS, RunFolder
from engine.store.journal import FolderJournal
from engine.store.run_record import write_record
from engine.store.stored_run import RunState, summary_of

LOG = logging.getLogger("headlight.store")
Change = Callable[[About], About]


class OpenRun:
    """``resumed``: the journal has chunks of an earlier run of the same settings.

    As a context manager: an error within fails the run, a cancel cancels it, and one left without an end is
    incomplete. Use from one thread at a time.
    """

    def __init__(
        self, folder: RunFolder, lock: FileLock, resumed: bool, change: Callable[[RunFolder, Change, bool], None]
    ) -> None:
        """``lock`` is held. ``change`` writes about.json anew, and takes the chunks away if told to."""
        self.id, self.resumed = folder.id, resumed
        self.journal = FolderJournal(folder.path / CHUNKS)
        self._folder, self._lock, self._change, self._ended = folder, lock, change, False

    def finish(self, record: Json, state: RunState | None = None) -> None:
        """Keep what was found; cancelled unless it is complete, or as ``state`` says.

        Raises HeadlightError if it cannot be kept: the chunks are then still there, and it may be tried again.
        """
        state = state or (RunState.DONE if record.get("complete", True) else RunState.CANCELLED)
        if state not in (RunState.DONE, RunState.CANCELLED):
            raise ValueError(f"Expected a run to end done or cancelled, got {state}")
        ended = time.time()

        def change(about: About) -> About:
            return with_record(about, self._folder, record, state, ended)

        self._end(change, state is RunState.DONE)

    def fail(self, message: str) -> None:
        """It ended by an error; its chunks are kept for another try."""
        self._end_plainly(RunState.FAILED, message)

    def cancel(self) -> None:
        """It was stopped before there was anything to keep but chunks."""
        self._end_plainly(RunState.CANCELLED, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is not None and not self._ended:
                self._end_by(error)
        except HeadlightError as second:
            LOG.warning("How the run %s ended is not kept: %s", self.id, second)
        finally:
            self._lock.release()

    def _end_by(self, error: BaseException) -> None:
        if isinstance(error, Cancelled) or not isinstance(error, Exception):
            self.cancel()
        else:
            self.fail(str(error) if isinstance(error, HeadlightError) else f"{type(error).__name__}: {error}")

    def _end_plainly(self, state: RunState, message: str | None) -> None:
        ended = time.time()
        self._end(lambda about: replace(about, run=replace(about.run, state=state, error=message, ended=ended)), False)

    def _end(self, change: Change, finished: bool) -> None:
        if self._ended:
            raise ValueError(f"Expected a run that is under way, got {self.id}, which has ended")
        self._change(self._folder, change, finished)
        self._ended = True


def with_record(about: About, folder: RunFolder, record: Json, state: RunState, ended: float) -> About:
    """``about`` with the record written beside it, with the settings that tuning chose; raises OSError."""
    files = write_record(folder, record)
    chosen = record["settings"] if record.get("tuning") is not None else about.run.settings
    run = replace(
        about.run, state=state, ended=ended, error=None, summary=summary_of(record), settings=chosen,
        fingerprint=str(record.get("fingerprint") or about.run.fingerprint),
    )  # fmt: skip
    return About(run, files)
