"""What a run has finished so far, chunk by chunk, so that the same run begun again need not do it again.

A stage that takes long asks ``read(name)`` before each chunk of work and ``write``s the chunk after it. The names are
fixed by the settings alone, and a chunk read back must leave the run exactly as the work itself would have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from engine.record.json_values import Json


@dataclass(frozen=True, eq=False)
class Chunk:
    """Plain values and tensors; JSON's numbers and float64 hold Python's floats exactly."""

    values: Json
    tensors: dict[str, Tensor] = field(default_factory=dict)


class Journal:
    """Remembers nothing; engine/store/journal.py has the one that writes to disk."""

    def read(self, name: str) -> Chunk | None:
        """The chunk of that name, if it was finished before."""

    def write(self, name: str, chunk: Chunk) -> None:
        """Keep a finished chunk; once this returns, a killed process does not lose it."""
