"""An ablation's metrics of one mask after another, noted so many at a time (engine/notes/notes.py).

The ablation goes on from the mask before (engine/ablation.py). Where that was taken from a note it is run again,
unbooked, so that what follows costs what it would have cost.
"""

from __future__ import annotations

from torch import Tensor

from engine.ablation import Ablator
from engine.cost.ledger import Ledger
from engine.notes.notes import Note, Notes


class GoingOn:
    """An ablation that goes on from the mask before, also where that one was not run here."""

    def __init__(self, ablator: Ablator, ledger: Ledger) -> None:
        self._ablator, self._ledger = ablator, ledger
        self._before: Tensor | None = None  # the last mask, if it was not run

    def took(self, keep: Tensor) -> None:
        """That mask's metric is known from before."""
        self._before = keep

    def by_pair(self, keep: Tensor) -> Tensor:
        """Metric of each pair, ``[pair]``, with only the heads of ``keep [layer head]`` live."""
        if self._before is not None:
            with self._ledger.unbooked():
                self._ablator.by_pair(self._before)
            self._before = None
        return self._ablator.by_pair(keep)


class NotedMetrics:
    """``metric`` of masks in an order that is fixed; call ``close`` after the last one."""

    def __init__(self, ablator: Ablator, notes: Notes, name: str, together: int = 1) -> None:
        self._ablator, self._notes = GoingOn(ablator, notes.ledger), notes
        self._name, self._together = name, together
        self._asked = 0
        self._place = ""  # the note under way
        self._values: list[float] = []  # of it, read or run
        self._read = 0  # of these

    def metric(self, keep: Tensor) -> float:
        """Mean metric with only the heads of ``keep [layer head]`` live."""
        number, place = divmod(self._asked, self._together)
        if place == 0:
            self._place = f"{self._name}.{number}"
            self._values = self._notes.read(self._place, _parse) or []
            self._read = len(self._values)
        self._asked += 1
        if place < self._read:
            self._ablator.took(keep)
            return self._values[place]
        self._values.append(float(self._ablator.by_pair(keep).mean()))
        if place == self._together - 1:
            self.close()
        return self._values[place]

    def close(self) -> None:
        """Write what is not written yet."""
        if len(self._values) > self._read:
            self._notes.write(self._place, {"values": list(self._values)})
            self._read = len(self._values)


def _parse(note: Note) -> list[float]:
    values = note.values.rows("values")
    if not all(isinstance(value, float) for value in values):
        raise note.values.wrong("values", "numbers", values)
    return values
