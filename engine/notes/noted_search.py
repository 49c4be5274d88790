"""Path patching that notes what it measured, stop by stop of its walk (engine/notes/notes.py).

1. The receivers of a stop, their effects, which of these are estimates, and the counts of screening are one note.
2. A walk begun again takes effects from its notes as long as there are any. Before it measures further, streams and
   gradients that the earlier work had kept are computed again, unbooked: so what follows costs what it would have
   cost, and is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.circuit import Input
from engine.executor.split import SplitMeasuring, added
from engine.notes.notes import Note, Notes
from engine.patching.effects import Decides, Effects, Tick
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import ReferencePatching
from engine.patching.screening import ScreenedPatching, Screening
from engine.record.json_values import Json
from engine.search.measuring import Patching
from engine.search.path_patching import Measure

MOST_PATHS = 2**53


class NotedPatching:
    """Measures as ``patching`` does; several walks may be noted, one after the other, each under a name of its own."""

    def __init__(self, patching: Patching, notes: Notes, split: SplitMeasuring | None = None) -> None:
        """``split``: who measures all receivers but the logits, in the place of ``patching``."""
        self.patching, self._notes, self._split = patching, notes, split
        self._taken_up = False
        self._read: float | None = None  # the greatest depth at which receivers were measured

    @property
    def screening(self) -> Screening | None:
        """What was estimated and recomputed so far; None where nothing is estimated."""
        return self.patching.screening if isinstance(self.patching, ScreenedPatching) else None

    def again(self) -> NotedPatching:
        """Itself, counting from nothing, for another walk over the same streams and gradients."""
        if isinstance(self.patching, ScreenedPatching):
            self.patching = self.patching.again()
        return self

    def walk(self, name: str, estimates: bool = False) -> Measure:
        """What the search ``name`` measures with; ``estimates``: with estimates alone, where there are any."""

        def measure(receivers: Sequence[Receiver], decides: Decides, tick: Tick) -> list[Effects]:
            place = f"{name}.{stop_name(receivers)}"
            found = self._notes.read(place, lambda note: self._parse(note, receivers))
            if found is None:
                found = self._live(receivers, decides, tick, estimates)
                self._write(place, receivers, found)
            else:
                tick(1.0)
            self._remember(receivers)
            return found

        return measure

    def _live(self, receivers: Sequence[Receiver], decides: Decides, tick: Tick, estimates: bool) -> list[Effects]:
        patching = self.patching
        if self._split is not None and list(receivers) != [LOGITS]:
            return self._elsewhere(self._split, receivers, None if estimates else decides, tick)
        if self._taken_up and self._read is not None and (depth := self._depth(receivers)) is not None:
            assert not isinstance(patching, ReferencePatching)
            with self._notes.ledger.unbooked():
                patching.hold(self._read, depth)
        if estimates and isinstance(patching, ScreenedPatching):
            return patching.estimates(receivers, decides, tick)
        return patching.measure(receivers, decides, tick)

    def _elsewhere(
        self, split: SplitMeasuring, receivers: Sequence[Receiver], decides: Decides | None, tick: Tick
    ) -> list[Effects]:
        found, screening = split.measure(receivers, decides, tick)
        if isinstance(self.patching, ScreenedPatching) and screening is not None:
            self.patching.count(added(self.patching.screening, screening))
        return found

    def _remember(self, receivers: Sequence[Receiver]) -> None:
        if (depth := self._depth(receivers)) is not None:
            self._read = depth if self._read is None else max(self._read, depth)

    def _depth(self, receivers: Sequence[Receiver]) -> float | None:
        """Where they read; None where nothing is kept by measuring them."""
        if list(receivers) == [LOGITS] or isinstance(self.patching, ReferencePatching):
            return None
        return self.patching.depth(receivers)

    def _write(self, place: str, receivers: Sequence[Receiver], found: Sequence[Effects]) -> None:
        values: Json = {"receivers": [str(receiver) for receiver in receivers]}
        if (screening := self.screening) is not None:
            values["screening"] = [screening.estimated, screening.recomputed, screening.largest]
        tensors = {
            "f": torch.stack([each.f for each in found]), "estimated": torch.stack([each.estimated for each in found])
        }  # fmt: skip
        self._notes.write(place, values, tensors)

    def _parse(self, note: Note, receivers: Sequence[Receiver]) -> list[Effects]:
        named = [str(receiver) for receiver in receivers]
        if list(note.values.texts("receivers")) != named:
            raise note.values.wrong("receivers", ", ".join(named), "others")
        shape = (len(receivers), *self.patching.shape)
        f, estimated = note.tensor("f", shape, torch.float32), note.tensor("estimated", shape, torch.bool)
        if isinstance(self.patching, ScreenedPatching):
            self.patching.count(_screening(note))
        self._taken_up = True
        return [Effects(*pair) for pair in zip(f, estimated, strict=True)]


def stop_name(receivers: Sequence[Receiver]) -> str:
    """``logits``, ``12`` for the heads of a layer, ``m12`` for its MLP."""
    (first, *_) = receivers
    if first.head is None:
        return Input.LOGITS.value
    return str(first.head) if first.input is Input.MLP else str(first.head.layer)


def _screening(note: Note) -> Screening:
    counts = note.values.rows("screening")
    if len(counts) != 3 or not all(isinstance(count, int) for count in counts[:2]) or not isinstance(counts[2], float):
        raise note.values.wrong("screening", "two counts and a number", counts)
    return Screening(*counts)
