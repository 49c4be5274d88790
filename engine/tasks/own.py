"""Own tasks that are kept: rows a person brought, in the cache folder, under a name made of their content.

1. The name is ``own-`` and twelve hex digits of the rows and the metric: the same rows are the same task wherever
   and whenever they are kept, and a link to it can never mean other rows.
2. One JSON file each, written beside its place and moved into it, so that it is never seen half-written.
3. A title is for people and may change; it is no part of the name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import HeadlightError
from engine.machine.atomic import write_text
from engine.models.cache import cache_root, unwritable, writable_cache
from engine.serving.limits import check_keeping, limits
from engine.tasks.custom import custom_prompts
from engine.tasks.prompts import Metric, Prompts
from engine.tasks.table import COLUMNS, OPTIONAL_COLUMN, Row, Table, table_of

if TYPE_CHECKING:  # transformers' parts are imported by the thread that loads a model, and no other
    from transformers import PreTrainedTokenizerBase

SCHEMA = "headlight-task/1"
SUBFOLDER = "own-tasks"
NAME = re.compile(r"own-[0-9a-f]{12}")
LONGEST_TITLE = 80


@dataclass(frozen=True)
class OwnTask:
    """Rows with the metric read from them. ``name`` follows from both (``own_task`` makes it)."""

    name: str
    title: str
    metric: Metric
    rows: tuple[Row, ...]


def is_own(name: str) -> bool:
    """Whether a task's name is one of an own task, kept here or not."""
    return NAME.fullmatch(name) is not None


def own_task(rows: Sequence[Row], metric: Metric = Metric.LOGIT_DIFF, title: str = "") -> OwnTask:
    """The task of these rows, numbered anew; an empty ``title`` gives one that counts them."""
    numbered = tuple(replace(row, number=number) for number, row in enumerate(rows, start=1))
    content = json.dumps([metric.value, [_record(row) for row in numbered]], ensure_ascii=True)
    name = f"own-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    return OwnTask(name, _title(title) or f"Own task · {len(numbered)} pairs", metric, numbered)


def keep(task: OwnTask) -> None:
    """Write the task to the cache folder; raises HeadlightError if that cannot be written, or nothing is kept here."""
    check_keeping("own tasks", limits())
    folder = writable_cache(SUBFOLDER)
    content = {"schema": SCHEMA, "title": task.title, "metric": task.metric.value}
    content |= {"rows": [_record(row) for row in task.rows]}
    try:
        write_text(json.dumps(content, indent=1), folder / f"{task.name}.json")
    except OSError as error:
        raise unwritable(folder, error) from error


def kept() -> tuple[OwnTask, ...]:
    """All tasks kept here, by title; damaged files are left out."""
    tasks = [task for path in _files() if (task := _read(path)) is not None]
    return tuple(sorted(tasks, key=lambda task: (task.title.lower(), task.name)))


def kept_stamp() -> tuple[tuple[str, int, int], ...]:
    """Changes whenever what is kept does: name, time and size of every file."""
    found = []
    for path in _files():
        try:
            about = path.stat()
        except OSError:  # deleted meanwhile
            continue
        found.append((path.stem, about.st_mtime_ns, about.st_size))
    return tuple(found)


def find_own(name: str) -> OwnTask:
    """The kept task of that name; raises HeadlightError if there is none (any more)."""
    task = _read(_path(name)) if is_own(name) else None
    if task is None:
        raise HeadlightError(
            f"There is no own task {name} on this machine: it was deleted, or is kept on another one. Choose another "
            "task, or bring its rows on the page Prompts: the same rows get the same name."
        )
    return task


def rename(name: str, title: str) -> None:
    """Give a kept task another title; raises HeadlightError for an empty one."""
    if not _title(title):
        raise HeadlightError("Expected a title, got nothing. Type a few words.")
    keep(replace(find_own(name), title=_title(title)))


def forget(name: str) -> None:
    """Delete a kept task; nothing happens if it is gone. Raises HeadlightError where visitors may change nothing."""
    check_keeping("changes to own tasks", limits())
    if is_own(name):
        _path(name).unlink(missing_ok=True)


def own_prompts(
    task: OwnTask,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    n: int,
    metric: Metric | None = None,
    prepend_bos: bool = False,
) -> Prompts:
    """The first ``n`` rows as prompts (all if there are fewer); raises HeadlightError if any does not fit the model."""
    table = Table(task.rows[:n])
    prompts = custom_prompts(table, tokenizer, max_tokens, metric or task.metric, prepend_bos)
    return replace(prompts, task=task.name)


def _title(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:LONGEST_TITLE]


def _record(row: Row) -> dict[str, str]:
    return {name: getattr(row, name) for name in (*COLUMNS, OPTIONAL_COLUMN)}


def _path(name: str) -> Path:
    return cache_root() / SUBFOLDER / f"{name}.json"


def _files() -> list[Path]:
    return sorted(path for path in (cache_root() / SUBFOLDER).glob("own-*.json") if is_own(path.stem))


def _read(path: Path) -> OwnTask | None:
    """The task of a file; None if it is missing, damaged or not what its name says."""
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        table = table_of(content["rows"])
        task = own_task(table.rows, Metric(content["metric"]), str(content["title"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return task if task.name == path.stem and not table.problems else None
