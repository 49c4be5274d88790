"""How discover keeps its run. A store that cannot be written costs no result: it is announced, and the run goes on."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from engine.cli.console import Console
from engine.errors import HeadlightError
from engine.models.model import Model
from engine.notes.journal import Journal
from engine.record.json_values import Json
from engine.settings import Settings
from engine.store.open_run import OpenRun
from engine.store.store import RunStore


class Keeping:
    """A run in the store, or none, with the same ends."""

    def __init__(self, run: OpenRun | None, console: Console) -> None:
        self._run, self._console = run, console

    @property
    def journal(self) -> Journal | None:
        return None if self._run is None else self._run.journal

    def finish(self, record: Json) -> None:
        """After the record was written where it was asked for."""
        if self._run is None:
            return
        try:
            self._run.finish(record)
        except HeadlightError as error:
            self._console.announce(f"warning: the run is written, but not kept. {error}")

    def cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()


@contextmanager
def keeping(options: argparse.Namespace, settings: Settings, model: Model, console: Console) -> Iterator[Keeping]:
    """The run of these options, gone on with if it was interrupted."""
    run = None if options.no_store else _begun(settings, besides(options), model, console)
    with run or nullcontext():
        yield Keeping(run, console)


def _begun(settings: Settings, more: str, model: Model, console: Console) -> OpenRun | None:
    try:
        run = RunStore().begin(settings, fingerprint=model.fingerprint, besides=more)
    except HeadlightError as error:
        console.announce(f"warning: this run will not be kept. {error}")
        return None
    if run.resumed:
        console.announce(f"run {run.id} goes on where an earlier one of the same settings stopped")
    else:
        console.announce(f"run {run.id} begins")
    return run


def besides(options: argparse.Namespace) -> str:
    """What a run depends on beside its settings: rows of one's own, and trials."""
    parts = [] if options.rows is None else [f"rows {hashlib.sha256(_content(options)).hexdigest()}"]
    if options.tune is not None:
        parts.append(f"tune {options.tune} {options.scores}")
    return ", ".join(parts)


def _content(options: argparse.Namespace) -> bytes:
    try:
        return options.rows.read_bytes()
    except OSError as error:
        raise HeadlightError(f"Cannot read {options.rows}: {error.strerror}. Give a CSV or JSONL file.") from error
