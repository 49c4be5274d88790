"""A run from a file, whatever kind of file it is: a capsule, or a record as JSON."""

from __future__ import annotations

from engine.capsule.capsule import Capsule
from engine.capsule.labels import BY_NODE
from engine.capsule.reading import capsule_of, read_capsule
from engine.record.circuit_file import read_record

ZIP = b"PK"


def open_run(content: bytes) -> Capsule:
    """The run in a file's bytes, with the names and roles of heads it has; raises HeadlightError for anything else."""
    if content.startswith(ZIP):
        return read_capsule(content)
    record = read_record(content)
    return capsule_of(record, labels={key: record[key] for key in BY_NODE if key in record})
