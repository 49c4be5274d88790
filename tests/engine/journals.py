"""A journal in memory, for tests: chunks go through JSON as they would on disk, in the order they were written."""

from __future__ import annotations

import json

from engine.notes.journal import Chunk, Journal


class Kept(Journal):
    """``chunks`` by name; ``read_back`` and ``written`` name those asked for with success, and those added."""

    def __init__(self, chunks: dict[str, Chunk] | None = None) -> None:
        self.chunks = dict(chunks or {})
        self.read_back: list[str] = []
        self.written: list[str] = []

    def first(self, count: int) -> Kept:
        """A journal with the first ``count`` chunks of this one: what a killed run leaves."""
        return Kept(dict(list(self.chunks.items())[:count]))

    def read(self, name: str) -> Chunk | None:
        if name in self.chunks:
            self.read_back.append(name)
        return self.chunks.get(name)

    def write(self, name: str, chunk: Chunk) -> None:
        values = json.loads(json.dumps(chunk.values))
        self.chunks[name] = Chunk(values, {key: tensor.clone() for key, tensor in chunk.tensors.items()})
        self.written.append(name)
