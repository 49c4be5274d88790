"""runs: the list of what is kept, and what can be done with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from engine.cli.console import Console
from engine.cli.tables import print_table
from engine.errors import HeadlightError
from engine.record.json_values import dumps
from engine.store.store import RunStore
from engine.store.stored_run import StoredRun

HEADER = ("id", "state", "model", "task", "heads", "edges", "faithful", "begun", "MB", "name", "tags")
LONGEST = 40  # letters of a cell
DAY = 24 * 3600.0


def runs(options: argparse.Namespace, console: Console) -> None:
    """The list, or one action."""
    store = RunStore()
    act = {"delete": _delete, "restore": _restore, "rename": _rename, "tag": _tag, "purge": _purge}
    act.get(options.action, _print)(store, options, console)


def _print(store: RunStore, options: argparse.Namespace, console: Console) -> None:
    found = store.all(deleted=options.all)
    if options.json:
        sys.stdout.write(dumps({"runs": [asdict(run) for run in found]}) + "\n")
        return
    if not found:
        print(f"No runs are kept in {store.root} yet. Find a circuit: python -m engine discover")
        return
    print_table(HEADER, [_row(run) for run in found])
    for run in found:
        if run.error is not None:
            print(f"\n{run.id}: {run.error}")
    print(f"\n{len(found)} runs, {store.size() / 1e6:,.1f} MB in {store.root}")


def _row(run: StoredRun) -> Sequence[str]:
    numbers = run.summary
    heads, edges = (f"{numbers[name]:.0f}" if name in numbers else "" for name in ("heads", "edges"))
    faithful = f"{numbers['faithfulness']:.3f}" if "faithfulness" in numbers else ""
    begun = datetime.fromtimestamp(run.created).strftime("%Y-%m-%d %H:%M")
    state = run.state.value if run.deleted is None else f"{run.state.value}, deleted"
    cells = (run.id, state, run.model, run.task, heads, edges, faithful, begun, f"{run.bytes / 1e6:.2f}", run.name)
    return [cell if len(cell) <= LONGEST else f"…{cell[1 - LONGEST :]}" for cell in (*cells, ",".join(run.tags))]


def _delete(store: RunStore, options: argparse.Namespace, console: Console) -> None:
    for run in options.runs:
        store.delete(run)
        console.announce(f"deleted {run}; for 30 days it comes back by: python -m engine runs restore {run}")


def _restore(store: RunStore, options: argparse.Namespace, console: Console) -> None:
    for run in options.runs:
        store.undelete(run)
        console.announce(f"restored {run}")


def _rename(store: RunStore, options: argparse.Namespace, console: Console) -> None:
    store.rename(options.run, options.name)
    console.announce(f"{options.run} is called {store.get(options.run).name!r}")


def _tag(store: RunStore, options: argparse.Namespace, console: Console) -> None:
    store.tag(options.run, options.tags.split(","))
    console.announce(f"{options.run} has the tags: {', '.join(store.get(options.run).tags) or 'none'}")


def _purge(store: RunStore, options: argparse.Namespace, console: Console) -> None:
    if not options.days >= 0:
        raise HeadlightError(f"Expected 0 days or more, got {options.days:g}. Try 30.")
    removed = store.purge(options.days * DAY)
    console.announce(f"removed {len(removed)} deleted runs for good")
