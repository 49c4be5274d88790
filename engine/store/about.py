"""about.json: what is known of one run, schema ``headlight-run/1``, and how it is checked when it is read.

A later version's file is refused and left as it is. ``files`` are the size and SHA-256 of what holds the record: a
record counts only once they stand here, and only as long as they fit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import HeadlightError
from engine.record.json_values import Json, dumps
from engine.store.stored_run import RunState, StoredRun

NAME, VERSION = "headlight-run", 1
SCHEMA = f"{NAME}/{VERSION}"
ENDS = (RunState.RUNNING, RunState.DONE, RunState.CANCELLED, RunState.FAILED)  # incomplete is never written
RECORD, ARRAYS = FILES = ("run.json", "arrays.safetensors")
NUMBER = (int, float)
LATEST = 1e11  # seconds: within what calendars know
KINDS: dict[str, tuple[type, ...]] = {
    "id": (str,), "key": (str,), "state": (str,), "model": (str,), "fingerprint": (str,), "task": (str,),
    "settings": (dict,), "name": (str,), "tags": (list,), "created": NUMBER, "ended": (*NUMBER, type(None)),
    "error": (str, type(None)), "summary": (dict,), "sequence": (int,), "files": (dict,),
}  # fmt: skip


@dataclass(frozen=True)
class FileMark:
    """What a file must be."""

    size: int
    sha256: str


@dataclass(frozen=True)
class About:
    """``run`` without what the folder knows itself: bytes are 0 and deleted is None."""

    run: StoredRun
    files: Mapping[str, FileMark]


def about_bytes(about: About) -> bytes:
    run = {name: value for name, value in asdict(about.run).items() if name not in ("bytes", "deleted")}
    files = {name: asdict(mark) for name, mark in about.files.items()}
    return (dumps({"schema": SCHEMA, **run, "files": files}) + "\n").encode()


def about_of(content: bytes) -> About:
    """The inverse; raises HeadlightError for anything else."""
    try:
        values = json.loads(content)
        dumps(values)  # no NaN, no infinity
    except (ValueError, RecursionError) as error:
        raise HeadlightError("about.json is not JSON: it was damaged. Delete the run, or restore the file.") from error
    if not isinstance(values, dict):
        raise _damaged("an object", values)
    _check_schema(values.get("schema"))
    for name, kinds in KINDS.items():
        if name not in values or not isinstance(values[name], kinds) or isinstance(values[name], bool):
            raise _damaged(f"“{name}” of type {kinds[0].__name__}", values.get(name))
    for name in ("created", "ended"):
        if values[name] is not None and not 0 <= values[name] < LATEST:
            raise _damaged(f"seconds since 1970 for “{name}”", values[name])
    if values["state"] not in list(ENDS):
        raise _damaged(f"a state among {', '.join(ENDS)}", values["state"])
    return About(_run(values), {name: _mark(name, mark) for name, mark in values["files"].items()})


def _check_schema(schema: Any) -> None:
    match = re.fullmatch(rf"{NAME}/(\d{{1,9}})", schema) if isinstance(schema, str) else None
    if match is None or int(match[1]) < 1:
        raise _damaged(f"the schema {SCHEMA}", schema)
    if int(match[1]) > VERSION:
        raise HeadlightError(
            f"This run was kept by a newer Headlight (schema {NAME}/{int(match[1])}; this one knows {SCHEMA}). Update "
            "Headlight to use it; until then it is left as it is."
        )


def _run(values: Json) -> StoredRun:
    named = {name: values[name] for name in KINDS if name not in ("files", "state", "tags", "summary")}
    return StoredRun(
        **named,
        state=RunState(values["state"]),
        tags=tuple(str(tag) for tag in values["tags"]),
        summary={name: value for name, value in values["summary"].items() if isinstance(value, NUMBER)},
        bytes=0,
        deleted=None,
    )


def _mark(name: str, mark: Any) -> FileMark:
    if name not in FILES:
        raise _damaged(f"files among {', '.join(FILES)}", name)
    if not isinstance(mark, dict) or not isinstance(mark.get("size"), int) or not isinstance(mark.get("sha256"), str):
        raise _damaged(f"size and sha256 of {name!r}", mark)
    return FileMark(mark["size"], mark["sha256"])


def _damaged(expected: str, got: Any) -> HeadlightError:
    return HeadlightError(
        f"Expected {expected} in about.json, got {str(got)[:60]!r}: it was damaged. Delete the run, or restore the "
        "file."
    )
