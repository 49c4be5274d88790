"""The runs kept on disk, as the pages use them. Knows nothing of Streamlit; safe to call from any thread.

1. ``keeping`` does a search inside the store: its finished chunks are written as it goes, then what it found, or how it
   ended. What somebody learns about its circuit later is attached to it.
2. A store that fails, on a full disk say, never costs a result: the search goes on in memory, and ``why_not`` has the
   sentence that says so.
3. Listings come from the index alone, and one is good for a second or two: pages ask at every run of theirs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from engine.errors import HeadlightError
from engine.notes.journal import Chunk, Journal
from engine.record.json_values import Json
from engine.settings import Settings
from engine.store.folder import CHUNKS
from engine.store.journal import FolderJournal
from engine.store.open_run import OpenRun
from engine.store.shelf import RUNS
from engine.store.store import RunStore
from engine.store.stored_run import RunState, StoredRun, key_of
from pages.shared.recent import Recent
from pages.shared.work import data_of

if TYPE_CHECKING:
    from engine.circuit import Circuit
    from engine.discovery import Discovery
    from engine.models.model import Model

GOOD_FOR = 2.0  # seconds
MOST = 500  # runs whose place is known: far more than searches are remembered
LABELS = "labels"
ATTACHED = {
    "evaluation": "Evaluation of its heads", "edges": "Evaluation of its edges", "stability": "Found again",
    "receipts": "Receipts",
}  # fmt: skip
PROGRESS, STEP = "progress", 0.01  # a chunk of the pages' own: how far the search is, told at every step

T = TypeVar("T")


@dataclass(frozen=True)
class Listing:
    """Runs, newest first; ``problem`` says why there are none to see, if the store cannot be read."""

    runs: tuple[StoredRun, ...]
    problem: str | None = None


class Kept:
    """One store for all sessions of the server."""

    def __init__(self, open_store: Callable[[], RunStore] = RunStore) -> None:
        self._open = open_store
        self._lock = threading.RLock()
        self._opened: RunStore | None = None
        self._closing = False
        self._ids: Recent[Settings, str] = Recent(MOST)
        self._of_circuit: Recent[tuple[Settings, Circuit], str] = Recent(MOST)
        self._why_not: Recent[Settings, str] = Recent(MOST)
        self._remembered: dict[Hashable, tuple[float, Any]] = {}

    def store(self) -> RunStore:
        """The store, opened once it is asked for; raises HeadlightError where it cannot be."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def listing(self, deleted: bool = False) -> Listing:
        def read() -> Listing:
            try:
                return Listing(tuple(self.store().all(deleted)))
            except HeadlightError as error:
                return Listing((), str(error))

        return self.briefly(("all", deleted), read)

    def changed(self) -> None:
        """Forget listings: somebody has changed what is kept."""
        with self._lock:
            self._remembered.clear()

    def find(self, settings: Settings, fingerprint: str) -> StoredRun | None:
        """The newest finished run of these settings on a model with these weights."""

        def read() -> StoredRun | None:
            try:
                return self.store().find(settings, fingerprint)
            except HeadlightError as error:
                _log(error)
                return None

        return self.briefly(("find", settings, fingerprint), read)

    def interrupted(self, settings: Settings) -> StoredRun | None:
        """The newest run of these settings if its program was gone before it ended."""
        key = key_of(settings)
        newest = next((run for run in self.listing().runs if run.key == key), None)
        return newest if newest is not None and newest.state is RunState.INCOMPLETE else None

    def share_of(self, run: StoredRun) -> float | None:
        """How far an interrupted run was, 0 to 1; None where it does not say."""
        chunk = FolderJournal(self.store().root / RUNS / run.id / CHUNKS).read(PROGRESS)
        share = chunk.values.get("share") if chunk is not None else None
        return share if isinstance(share, float) and 0 <= share <= 1 else None

    def adopted(self, settings: Settings, found: Discovery, run_id: str) -> None:
        """A run that was read from the store: what is learnt about its circuit belongs to it."""
        self._ids.note(settings, run_id)
        self._of_circuit.note((data_of(settings), found.circuit), run_id)

    def id_of(self, settings: Settings) -> str | None:
        """Of the run that a search of these settings was kept as by this server."""
        return self._ids.get(settings)

    def attached(self, settings: Settings) -> Mapping[str, int]:
        """How many of each kind of result are kept with the run of these settings; the reader's names are none."""
        run_id = self.id_of(settings)
        if run_id is None:
            return {}

        def read() -> Mapping[str, int]:
            try:
                found = self.store().attachments(run_id)
            except HeadlightError as error:  # removed for good, say
                _log(error)
                return {}
            return {kind: len(entries) for kind, entries in found.items() if entries and kind != LABELS}

        return self.briefly(("attached", run_id), read)

    def why_not(self, settings: Settings) -> str | None:
        """Why the search of these settings is not kept, if it is not."""
        return self._why_not.get(settings)

    def closing(self) -> None:
        """The server ends: a search stopped from now on was interrupted, not cancelled, and can go on later."""
        self._closing = True

    def keeping(
        self, model: Model, settings: Settings, search: Callable[[Journal], Discovery],
        share: Callable[[], float | None],
    ) -> Discovery:  # fmt: skip
        """What ``search`` finds, kept if that is possible; ``share`` tells how far it is, 0 to 1.

        An own task's name is made of its rows, so its settings alone say what was asked.
        """
        self._why_not.forget(settings)
        run = self._try(settings, lambda: self.store().begin(settings, fingerprint=model.fingerprint))
        if run is None:
            return search(Journal())
        with run:  # an error fails it, a cancel cancels it
            self._ids.note(settings, run.id)
            self.changed()
            try:
                found = search(_Telling(run.journal, share))
                if found.complete or not self._closing:
                    self._finish(model, settings, run, found)
            finally:
                self.changed()
        return found

    def attach(
        self, settings: Settings, circuit: Circuit, kind: str, name: str, value: Callable[[], Json]
    ) -> None:
        """Add what was learnt about a circuit to the run it is of; nothing for a circuit of no run that is kept."""
        run_id = self._of_circuit.get((data_of(settings), circuit))
        if run_id is not None:
            self._attach(run_id, kind, name, value())

    def label(self, settings: Settings, names: dict[str, str]) -> None:
        """Keep the reader's names of heads with the run of these settings."""
        run_id = self.id_of(settings)
        if run_id is not None:
            self._attach(run_id, LABELS, LABELS, {"names": names})

    def _attach(self, run_id: str, kind: str, name: str, value: Json) -> None:
        try:
            self.store().attach(run_id, kind, name, value)
        except HeadlightError as error:  # it is still in memory, and on the page
            _log(error)
        self.changed()

    def _finish(self, model: Model, settings: Settings, run: OpenRun, found: Discovery) -> None:
        from engine.record.writing import discovery_json

        state = RunState.DONE if found.complete else RunState.CANCELLED
        record = discovery_json(model, found)
        self._try(settings, lambda: run.finish(record, state))
        if self._why_not.get(settings) is None:
            self.adopted(settings, found, run.id)

    def _try(self, settings: Settings, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except HeadlightError as error:
            self._note(settings, error)
            return None

    def _note(self, settings: Settings, error: HeadlightError) -> None:
        _log(error)
        self._why_not.note(settings, str(error))

    def briefly(self, what: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` returns, or returned a moment ago."""
        now = time.monotonic()
        with self._lock:
            known = self._remembered.get(what)
        if known is not None and now - known[0] < GOOD_FOR:
            return known[1]
        found = read()
        with self._lock:
            self._remembered = {key: at for key, at in self._remembered.items() if now - at[0] < GOOD_FOR}
            self._remembered[what] = (now, found)
        return found


class _Telling(Journal):
    """A run's journal, in which stands how far the search is as well."""

    def __init__(self, journal: Journal, share: Callable[[], float | None]) -> None:
        self._journal, self._share = journal, share
        self._told = 0.0

    def read(self, name: str) -> Chunk | None:
        return self._journal.read(name)

    def write(self, name: str, chunk: Chunk) -> None:
        self._journal.write(name, chunk)
        share = self._share()
        if share is not None and share - self._told >= STEP:
            self._journal.write(PROGRESS, Chunk({"share": share}))
            self._told = share


def _log(error: HeadlightError) -> None:
    logging.getLogger("headlight.runs").warning("%s", error)
