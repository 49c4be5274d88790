"""The terminal side of a run: progress on stderr, Ctrl-C that lets the run hand over what it has."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.cost.duration import duration
from engine.progress import Watcher

if TYPE_CHECKING:
    from engine.circuit import Circuit
    from engine.cost.ledger import CostRow

# Seconds between two lines of one stage: short on a terminal that overwrites, long in a log.
REFRESH = 0.2
REFRESH_LOG = 5.0


class Console(Watcher):
    """Writes one line a stage: rewritten in place on a terminal, now and then in a log."""

    def __init__(self) -> None:
        self.interrupted = False
        self._live = sys.stderr.isatty()
        self._stage, self._began, self._shown, self._heads = "", 0.0, 0.0, 0

    def report(self, stage: str, done: float, total: float) -> None:
        now = time.monotonic()
        changed = stage != self._stage
        if changed:
            self._stage, self._began = stage, now
        finished = done >= total
        if changed or finished or now - self._shown >= (REFRESH if self._live else REFRESH_LOG):
            self._shown = now
            self._write(self._line(done / total if total else 1.0, now - self._began), finished)

    def found(self, circuit: Circuit) -> None:
        self._heads = len(circuit.heads)

    def predicted(self, rows: Sequence[CostRow]) -> None:
        """The estimate, before the search."""
        from engine.search.path_patching import search_cost  # brings torch, which is there by now

        seconds, passes = sum(row.seconds for row in rows), sum(row.forward_passes for row in rows)
        self.announce(
            f"estimate: about {duration(seconds)} and {passes:,.0f} forward passes over all pairs, of these "
            f"{duration(search_cost(rows).seconds)} for path patching"
        )

    def cancelled(self) -> bool:
        return self.interrupted

    def announce(self, text: str) -> None:
        """A sentence of its own."""
        print(text, file=sys.stderr, flush=True)

    def _line(self, share: float, seconds: float) -> str:
        left = f", about {seconds * (1 - share) / share:.0f} s left" if 0.02 < share < 1 else ""
        heads = f", {self._heads} heads found" if self._heads else ""
        return f"{self._stage}: {share:.0%} after {seconds:.0f} s{left}{heads}"

    def _write(self, line: str, finished: bool) -> None:
        if self._live:
            print(f"\r\033[K{line}", end="\n" if finished else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


@contextmanager
def interruptible(console: Console) -> Iterator[None]:
    """First Ctrl-C: stop at the next chunk and hand over what was found. Second: stop now."""

    def handle(number: int, frame: object) -> None:
        if console.interrupted:
            raise KeyboardInterrupt
        console.interrupted = True
        print("\nStopping at the next chunk; press Ctrl-C again to stop at once.", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
