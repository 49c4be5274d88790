"""What a run notes of its finished work, and takes from there when it is begun again (engine/notes/journal.py).

1. A note is a chunk with what was found and, beside it, what all work up to there took. Taken up, the ledger stands
   where it stood: booked are the seconds and FLOPs of the work, whoever did it.
2. Every chunk is sealed with a digest of all that its numbers depend on: the model, the prompts, the settings, the
   versions, how the work is cut. A chunk under another seal is of another run and counts as not there, and so does one
   that does not have the values asked for.
3. How the work is cut depends on the memory that is free, so the first chunk says how it was. It is cut so again,
   unless that is more than there is now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from engine.cost.ledger import Ledger
from engine.cost.ledger_json import cost_in, cost_json
from engine.errors import HeadlightError
from engine.machine.memory import SHARE, MemoryPlan
from engine.notes.journal import Chunk, Journal
from engine.prepare import Prepared
from engine.record.json_values import Json
from engine.record.reader import Reader
from engine.settings import Settings
from engine.version import made_with

FIRST = "run"
SEAL = "seal"
COST = "cost"
Found = TypeVar("Found")


class Sealed(Journal):
    """A journal of which only chunks under ``seal`` are read."""

    def __init__(self, journal: Journal, seal: str) -> None:
        self._journal, self._seal = journal, seal

    def read(self, name: str) -> Chunk | None:
        chunk = self._journal.read(name)
        return chunk if chunk is not None and chunk.values.get(SEAL) == self._seal else None

    def write(self, name: str, chunk: Chunk) -> None:
        self._journal.write(name, replace(chunk, values=chunk.values | {SEAL: self._seal}))


class Notes:
    """Notes of work that ``ledger`` books."""

    def __init__(self, journal: Journal, ledger: Ledger) -> None:
        self._journal, self.ledger = journal, ledger

    def read(self, name: str, parse: Callable[[Note], Found]) -> Found | None:
        """What ``parse`` makes of a note, the ledger standing where it stood; None where there is none that fits.

        ``parse`` raises HeadlightError for values it does not know.
        """
        chunk = self._journal.read(name)
        if chunk is None:
            return None
        try:
            note = Note(Reader(chunk.values, f"the chunk {name}"), chunk.tensors)
            cost, found = cost_in(note.values.part(COST)), parse(note)
        except HeadlightError:  # the note of another program: its work is done again
            return None
        self.ledger.stand_at(cost)
        return found

    def write(self, name: str, values: Json, tensors: dict[str, Tensor] | None = None) -> None:
        """Note what was found, and what all work took so far."""
        self._journal.write(name, Chunk(values | {COST: cost_json(self.ledger.rows())}, tensors or {}))


@dataclass(frozen=True, eq=False)
class Note:
    """A chunk's values, to be taken out one by one, and its tensors."""

    values: Reader
    tensors: Mapping[str, Tensor]

    def tensor(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Raises HeadlightError for any other shape or dtype, and where there is none."""
        value = self.tensors.get(name)
        if value is None or tuple(value.shape) != shape or value.dtype != dtype:
            raise self.values.wrong(name, f"a tensor {list(shape)} of {dtype}", value if value is None else value.shape)
        return value


def begun(journal: Journal, prepared: Prepared, settings: Settings) -> tuple[Sealed, Prepared]:
    """The journal of this very run, and its work cut as it was when it was begun first."""
    run, cut = _digest(_identity(prepared, settings)), prepared.memory
    first = journal.read(FIRST)
    if first is not None and first.values.get("of") == run and _fits(first.values.get("cut"), cut):
        cut = MemoryPlan(**first.values["cut"])
    else:
        journal.write(FIRST, Chunk({"of": run, "cut": asdict(cut)} | _named(prepared)))
    return Sealed(journal, _digest([run, asdict(cut)])), replace(prepared, memory=cut)


def _fits(cut: object, now: MemoryPlan) -> bool:
    """Whether work may be cut as it was: the prompts have been run in such chunks now, and there is the memory."""
    if not isinstance(cut, dict) or cut.keys() != asdict(now).keys():
        return False
    if (cut["rows"], cut["gradient_rows"]) != (now.rows, now.gradient_rows):
        return False
    return isinstance(cut["streams"], int | float) and 0 <= cut["streams"] <= now.streams / SHARE


def _identity(prepared: Prepared, settings: Settings) -> Json:
    pairs = [
        [pair.clean_tokens, pair.corrupted_tokens, pair.answer_tokens, pair.distractor_tokens, pair.template_group]
        for pair in prepared.prompts.pairs
    ]
    return _named(prepared) | {"settings": asdict(settings), "metric": prepared.prompts.metric, "pairs": pairs}


def _named(prepared: Prepared) -> Json:
    return {"fingerprint": prepared.model.fingerprint, "made_with": made_with()}


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
