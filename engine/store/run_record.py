"""A run's record on disk: run.json without matrices, and these in arrays.safetensors.

1. The arrays are written first, then run.json. Neither counts yet.
2. Their sizes and hashes go into about.json (engine/store/about.py): from then on they are the record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from engine.errors import HeadlightError
from engine.machine.atomic import write_bytes
from engine.record.json_values import Json, dumps
from engine.store.about import ARRAYS, RECORD, FileMark
from engine.store.arrays import put_together, taken_apart
from engine.store.files import read_file
from engine.store.folder import RunFolder
from engine.store.tensors import packed, unpacked


def write_record(folder: RunFolder, record: Json) -> dict[str, FileMark]:
    """What about.json must say for the record to count; raises OSError, and then nothing of it is left.

    Raises HeadlightError for what no run has written.
    """
    try:
        plain, arrays = taken_apart(record)
        contents = {ARRAYS: packed(arrays), RECORD: (dumps(plain) + "\n").encode()}
    except (ValueError, TypeError) as error:
        raise HeadlightError(f"The record cannot be kept: {error}. Give one that discover or the app wrote.") from error
    try:
        for name, content in contents.items():
            write_bytes(content, folder.path / name)
    except OSError:
        for name in contents:
            (folder.path / name).unlink(missing_ok=True)
        raise
    return {name: FileMark(len(content), _hash(content)) for name, content in contents.items()}


def read_record(folder: RunFolder, files: Mapping[str, FileMark]) -> Json:
    """The record exactly as it was written; raises HeadlightError if it is not that any more."""
    contents = {name: _checked(folder, name, files.get(name)) for name in (ARRAYS, RECORD)}
    arrays, _ = unpacked(contents[ARRAYS])
    return put_together(json.loads(contents[RECORD]), arrays)


def _checked(folder: RunFolder, name: str, mark: FileMark | None) -> bytes:
    if mark is None:
        raise HeadlightError(f"The run {folder.id} has no record: it was stopped before anything was found.")
    try:
        content = read_file(folder.path / name)
    except OSError as error:
        raise HeadlightError(f"{name} of the run {folder.id} cannot be read: {error.strerror}.") from error
    if _hash(content) != mark.sha256:
        raise HeadlightError(f"{name} of the run {folder.id} was damaged: it is not what was written. Make it again.")
    return content


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
