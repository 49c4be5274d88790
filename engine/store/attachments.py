"""What was measured of a run later, or written to it: JSON by kind and name, a file each."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from typing import Any

from engine.errors import HeadlightError
from engine.machine.atomic import write_bytes
from engine.record.json_values import Json, dumps
from engine.store.file_names import file_name
from engine.store.files import own_folder, read_file
from engine.store.folder import ATTACHMENTS, RunFolder

LOG = logging.getLogger("headlight.store")
KINDS = ("evaluation", "edges", "stability", "receipts", "labels")
SCHEMA = "headlight-attachment/1"


def write_attachment(folder: RunFolder, kind: str, name: str, content: Json) -> None:
    """In place of an earlier one of that kind and name; raises OSError."""
    if kind not in KINDS:
        raise HeadlightError(f"Expected one of {', '.join(KINDS)} to attach to a run, got {kind[:40]!r}.")
    whole = {"schema": SCHEMA, "kind": kind, "name": name, "content": content}
    path = own_folder(folder.path / ATTACHMENTS) / file_name(f"{kind}.{name}", ".json")
    write_bytes((dumps(whole) + "\n").encode(), path)


def read_attachments(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """By kind and name; a damaged one, and one of a later version, is left out."""
    place = folder.path / ATTACHMENTS
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for path in sorted(place.glob("*.json")) if place.is_dir() and not place.is_symlink() else ():
        try:
            whole = json.loads(read_file(path))
            kind, name, content = whole["kind"], whole["name"], whole["content"]
            if whole["schema"] != SCHEMA or path.name != file_name(f"{kind}.{name}", ".json") or kind not in KINDS:
                raise ValueError(f"expected {SCHEMA} of its name, got something else")
        except (OSError, ValueError, KeyError, TypeError) as error:
            LOG.warning("The attachment %s is left out: %s", path, error)
            continue
        found[kind][name] = content
    return dict(found)
