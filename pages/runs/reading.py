"""A run read to be looked at: from the store, or from a file somebody brought. Knows nothing of Streamlit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.record.json_values import Json
from engine.settings import Settings
from pages.shared.kept import LABELS

if TYPE_CHECKING:
    from engine.discovery import Discovery
    from engine.store.store import RunStore

ZIP = b"PK\x03\x04"
Attachments = Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True, eq=False)
class Opened:
    """``attachments`` are by kind and name, ``labels`` as a capsule has them (engine/capsule/labels.py)."""

    record: Json
    found: Discovery
    attachments: Attachments
    labels: Json

    @property
    def settings(self) -> Settings:
        return self.found.settings

    @property
    def names(self) -> Mapping[str, str]:
        """What the reader called heads."""
        return self.labels.get("names", {})


def opened(store: RunStore, run_id: str) -> Opened:
    """Raises HeadlightError for a run that has nothing to read, or was damaged."""
    from engine.record.reading import discovery_of

    record, attachments = store.read(run_id), store.attachments(run_id)
    labels = attachments.get(LABELS, {}).get(LABELS, {})
    return Opened(
        record, discovery_of(record), {kind: each for kind, each in attachments.items() if kind != LABELS}, labels
    )


def brought(content: bytes) -> Opened:
    """A capsule, or a whole run as JSON; raises HeadlightError for anything else."""
    from engine.capsule.reading import read_capsule
    from engine.record.circuit_file import read_record
    from engine.record.reading import discovery_of

    if not content.startswith(ZIP):
        record = read_record(content)
        return Opened(record, discovery_of(record), {}, {"names": record["names"]} if "names" in record else {})
    capsule = read_capsule(content)
    return Opened(capsule.record, discovery_of(capsule.record), capsule.attachments, capsule.labels)


def keep(store: RunStore, read: Opened, name: str) -> str:
    """Into the store, with all that belongs to it; its id there."""
    tags = read.labels.get("tags", [])
    run_id = store.add(read.record, read.labels.get("name") or name, tuple(tags))
    for kind, entries in read.attachments.items():
        for each, content in entries.items():
            store.attach(run_id, kind, each, content)
    if read.names:
        store.attach(run_id, LABELS, LABELS, {"names": dict(read.names)})
    return run_id


def as_capsule(read: Opened, name: str, tags: tuple[str, ...]) -> bytes:
    """What the button hands out."""
    from engine.capsule.writing import capsule_bytes

    labels = {**read.labels, **({"name": name} if name else {}), **({"tags": list(tags)} if tags else {})}
    return capsule_bytes(read.record, read.attachments, labels)


def id_of(content: bytes) -> str:
    """How a link calls a file."""
    return f"file-{hashlib.sha256(content).hexdigest()[:8]}"
