"""Runs as rows of a table: which of them, in which order, in which words. Knows nothing of Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from engine.store.stored_run import RunState, StoredRun
from pages.shared import runs
from pages.shared.job_names import model_title, task_title
from pages.shared.view import View

STATES = {
    RunState.DONE: "✓ done", RunState.CANCELLED: "◐ cancelled", RunState.FAILED: "✗ failed",
    RunState.INCOMPLETE: "… interrupted", RunState.RUNNING: "▸ running",
}  # fmt: skip
NOWHERE = float("inf")  # where a run without the number is sorted
ORDERS: dict[str, Callable[[StoredRun], Any]] = {
    "oldest": lambda run: run.sequence,
    "name": lambda run: runs.title_of(run).lower(),
    "heads": lambda run: run.summary.get("heads", NOWHERE),
    "faithfulness": lambda run: -run.summary.get("faithfulness", -NOWHERE),
    "bytes": lambda run: -run.bytes,
}


def chosen(kept: Sequence[StoredRun], view: View) -> list[StoredRun]:
    """Those the view's filters leave, in its order; they come newest first."""
    left = [
        run
        for run in kept
        if _says(run, view.run_find) and view.run_model in ("", run.model) and view.run_task in ("", run.task)
        and view.run_state in ("all", run.state) and (not view.run_tag or view.run_tag in run.tags)
    ]  # fmt: skip
    return left if view.run_order == "newest" else sorted(left, key=ORDERS[view.run_order])


def _says(run: StoredRun, text: str) -> bool:
    """Whether every word stands somewhere in what the table says of the run."""
    said = " ".join((run.id, runs.title_of(run), run.model, run.task, *run.tags, *runs.how(run.settings))).lower()
    return all(word in said for word in text.lower().split())


def row_of(run: StoredRun) -> dict[str, Any]:
    """Numbers that were not measured stay empty."""
    pairs = run.settings.get("pairs")
    return {
        "name": run.name or ", ".join(runs.how(run.settings)),  # the rest stands beside it
        "state": STATES[run.state],
        "begun": datetime.fromtimestamp(run.created),  # without a zone, as ``when`` says it
        "model": model_title(run.model),
        "task": task_title(run.task),
        "heads": run.summary.get("heads"),
        "edges": run.summary.get("edges"),
        "faithfulness": run.summary.get("faithfulness"),
        "tags": list(run.tags),
        "pairs": pairs if isinstance(pairs, int) else None,
        "took": run.summary.get("seconds", run.seconds),
        "kB": run.bytes / 1000,
        "performance": run.summary.get("performance"),
        "method": ", ".join(runs.how(run.settings)),
    }


def size_words(size: int) -> str:
    """``12 kB``, ``3.4 MB``."""
    if size < 1_000_000:
        return f"{size / 1000:,.0f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1_000_000_000 else f"{size / 1e9:,.1f} GB"


def tags_in(kept: Iterable[StoredRun]) -> list[str]:
    return sorted({tag for run in kept for tag in run.tags})


def when(seconds: float) -> str:
    """Of the day, in the server's own time: ``2026-11-26 04:30``."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
