"""A run from a file, whatever kind of file it is: a capsule, or a record as JSON."""

from __future__ import annotations

from engine.capsule.capsule import Capsule
from engine.capsule.reading import capsule_of, read_capsule
from engine.circuit_file import read_record

ZIP = b"PK"


def open_run(content: bytes) -> Capsule:
    """The run in a file's bytes; raises HeadlightError for anything that is neither."""
    return read_capsule(content) if content.startswith(ZIP) else capsule_of(read_record(content))
