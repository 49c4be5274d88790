"""A run as a capsule: the same content at the same time gives the same bytes, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

from engine.capsule.arrays_file import arrays_bytes
from engine.capsule.capsule import ARRAYS, LABELS, MANIFEST, RUN, SCHEMA, Attachments, attachment_name
from engine.capsule.reading import read_capsule
from engine.machine.atomic import write_bytes
from engine.record.json_values import Json, dumps
from engine.store.arrays import taken_apart
from engine.version import made_with

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the first a zip can say: when it was written stands in the manifest
REGULAR_FILE = 0o100644 << 16
LEVEL = 9  # of deflating: a member says its own
UNIX = 3  # whose permissions the attributes are, on every system


def capsule_bytes(
    record: Json,
    attachments: Attachments | None = None,
    labels: Mapping[str, object] | None = None,
    created: float | None = None,
) -> bytes:
    """The capsule of a run's record; ``created`` in seconds since 1970, now if None.

    Raises HeadlightError for what could not be read again: a record that is no whole run, a name no attachment has.
    """
    members = _members(record, attachments or {}, labels or {})
    manifest = {
        "schema": SCHEMA,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if created is None else created)),
        "made_with": made_with(),
        "fingerprint": record.get("fingerprint") or None,
        "members": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(members.items())
        },
    }
    capsule = _zipped({MANIFEST: _json_bytes(manifest)} | dict(sorted(members.items())))
    read_capsule(capsule)  # what is handed out can be read
    return capsule


def write_capsule(
    record: Json,
    path: Path,
    attachments: Attachments | None = None,
    labels: Mapping[str, object] | None = None,
    created: float | None = None,
) -> None:
    """``capsule_bytes`` as a file; raises OSError like any write."""
    write_bytes(capsule_bytes(record, attachments, labels, created), path)


def _members(record: Json, attachments: Attachments, labels: Mapping[str, object]) -> dict[str, bytes]:
    plain, arrays = taken_apart(json.loads(dumps(record)))  # plain values alone: no enums, no tuples
    members = {RUN: _json_bytes(plain), ARRAYS: arrays_bytes(arrays)}
    for kind, named in attachments.items():
        members |= {attachment_name(kind, name): _json_bytes(value) for name, value in named.items()}
    return members | ({LABELS: _json_bytes(dict(labels))} if labels else {})


def _json_bytes(value: Json) -> bytes:
    return (dumps(value) + "\n").encode()


def _zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, ZIP_TIME)
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, REGULAR_FILE, UNIX
            archive.writestr(info, content, compresslevel=LEVEL)
    return buffer.getvalue()
