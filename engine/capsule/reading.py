"""A capsule from strangers, read: no weights, no model code, no network, nothing written to disk.

1. The zip's end and directory (engine/capsule/archive.py), then the manifest, whose schema is asked first: a capsule of
   a later Headlight is refused by that name, whatever else it holds.
2. Every member is in the manifest with its size and hash, and no other.
3. JSON and matrices are bounded and checked; each matrix stands in the record once, so that they cannot multiply.
4. The record is read like any run's (engine/record/reading.py): every value for its kind, range and shape.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from engine.capsule.archive import Archive
from engine.capsule.arrays_file import read_arrays
from engine.capsule.capsule import (
    ARRAYS,
    ATTACHMENT,
    LABELS,
    MANIFEST,
    MAX_FILE,
    REQUIRED,
    RUN,
    SCHEMA_NAME,
    SCHEMA_VERSION,
    WAY_ON,
    Capsule,
)
from engine.capsule.json_text import MAX_VALUES, most_values, read_json
from engine.capsule.labels import check_labels
from engine.errors import HeadlightError
from engine.record.json_values import Json
from engine.record.reading import discovery_of
from engine.record.run_file import run_in
from engine.record.writing import SCHEMA as RECORD_SCHEMA
from engine.store.arrays import MARK, Arrays, put_together

CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FINGERPRINT = re.compile(r"[0-9a-f]{16}")
HASH = re.compile(r"[0-9a-f]{64}")
MOST_TEXT = 100  # of a version


def read_capsule(content: bytes | Path) -> Capsule:
    """The capsule in a file or its bytes; raises HeadlightError for anything else, and for one that was changed."""
    archive = Archive(_bytes(content) if isinstance(content, Path) else content)
    manifest = _manifest(archive)
    archive.check()
    members = _members(archive, manifest)
    arrays = read_arrays(members[ARRAYS], WAY_ON)
    record = _record(members[RUN], arrays)
    attachments: dict[str, dict[str, Json]] = {}
    for name in sorted(members):
        if found := ATTACHMENT.fullmatch(name):
            attachments.setdefault(found[1], {})[found[2]] = _object(members[name], name)
    capsule = capsule_of(record, attachments, _object(members[LABELS], LABELS) if LABELS in members else {}, manifest)
    if capsule.fingerprint != manifest["fingerprint"]:
        raise HeadlightError(f"The capsule's manifest and its run name different models' fingerprints. {WAY_ON}")
    return capsule


def capsule_of(
    record: Json,
    attachments: dict[str, dict[str, Json]] | None = None,
    labels: Json | None = None,
    manifest: Json | None = None,
) -> Capsule:
    """A record, from wherever it comes, as a capsule that could be written; raises HeadlightError if it is no run."""
    fingerprint = record.get("fingerprint")
    if fingerprint and not (isinstance(fingerprint, str) and FINGERPRINT.fullmatch(fingerprint)):
        raise HeadlightError(f"Expected 16 hex digits for “fingerprint” in the run, or none. {WAY_ON}")
    check_labels(labels or {}, WAY_ON)
    return Capsule(manifest or {}, record, attachments or {}, labels or {}, discovery_of(record), run_in(record))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise HeadlightError(f"Cannot read {path}: {error.strerror}. Give a file that is there.") from error


def _manifest(archive: Archive) -> Json:
    manifest = _object(archive.read(MANIFEST), MANIFEST)
    check_schema(manifest.get("schema"), SCHEMA_NAME, SCHEMA_VERSION, "capsule")
    created, made_with = manifest.get("created"), manifest.get("made_with")
    if not isinstance(created, str) or not CREATED.fullmatch(created):
        raise HeadlightError(f"The capsule's manifest does not say when it was written. {WAY_ON}")
    if not isinstance(made_with, dict) or not all(_version(each) for each in (*made_with, *made_with.values())):
        raise HeadlightError(f"The capsule's manifest does not say by which versions it was written. {WAY_ON}")
    if "fingerprint" not in manifest or not isinstance(manifest.get("members"), dict):
        raise HeadlightError(f"The capsule's manifest lacks the model's fingerprint or the list of members. {WAY_ON}")
    return manifest


def check_schema(said: Any, name: str, known: int, what: str) -> None:
    """Raise HeadlightError unless ``said`` is ``name/known``; a later number is called what it is."""
    found = re.fullmatch(rf"{re.escape(name)}/(\d{{1,9}})", said) if isinstance(said, str) else None
    if found is None:
        raise HeadlightError(f"Expected a {what} with schema {name}/{known}; this one says another or none. {WAY_ON}")
    if int(found[1]) > known:
        raise HeadlightError(
            f"This {what} was made by a newer Headlight: its schema is {name}/{int(found[1])}, and this one knows "
            f"{name}/{known}. Update Headlight, or have the run exported by an older one."
        )
    if int(found[1]) < known or said != f"{name}/{known}":
        raise HeadlightError(f"Expected a {what} with schema {name}/{known}, got {said[:60]!r}. {WAY_ON}")


def _version(text: Any) -> bool:
    return isinstance(text, str) and len(text) <= MOST_TEXT and text.isprintable()


def _members(archive: Archive, manifest: Json) -> dict[str, bytes]:
    """All but the manifest, as it describes them."""
    there, listed = set(archive.names) - {MANIFEST}, set(manifest["members"])
    if there != listed or not there.issuperset(REQUIRED):
        odd = sorted((there ^ listed) | (set(REQUIRED) - there))[0]
        raise HeadlightError(f"The capsule's manifest and its members differ: {odd[:60]!r} is only in one. {WAY_ON}")
    members = {name: archive.read(name) for name in sorted(there)}
    if sum(most_values(content) for name, content in members.items() if name != ARRAYS) > MAX_VALUES:
        raise HeadlightError(f"The capsule has more than {MAX_VALUES:,} values; no run has as many. {WAY_ON}")
    for name, content in members.items():
        said = manifest["members"][name]
        if not isinstance(said, dict) or said.get("bytes") != len(content):
            raise HeadlightError(f"The capsule's {name} has not the size that its manifest says. {WAY_ON}")
        if said.get("sha256") != hashlib.sha256(content).hexdigest():
            raise HeadlightError(
                f"The capsule's {name} was changed after it was written: its hash is not the one in the manifest. "
                f"{WAY_ON}"
            )
    return members


def _record(content: bytes, arrays: Arrays) -> Json:
    plain = _object(content, RUN)
    check_schema(plain.get("schema"), *_name_and_number(RECORD_SCHEMA), "run")
    named = sorted(str(name) for name in _marks(plain))
    if named != sorted(arrays):
        raise HeadlightError(f"The capsule's run and its matrices do not fit: each must stand in it once. {WAY_ON}")
    return put_together(plain, arrays)


def _name_and_number(schema: str) -> tuple[str, int]:
    name, _, number = schema.partition("/")
    return name, int(number)


def _marks(value: Any) -> list[Any]:
    """The names of all arrays a record without its matrices asks for."""
    if isinstance(value, dict):
        return [value[MARK]] if MARK in value else [name for each in value.values() for name in _marks(each)]
    return [name for each in value for name in _marks(each)] if isinstance(value, list) else []


def _object(content: bytes, name: str) -> Json:
    value = read_json(content, f"The capsule's {name}", WAY_ON)
    if not isinstance(value, dict):
        raise HeadlightError(f"Expected an object in the capsule's {name}, got something else. {WAY_ON}")
    return value
