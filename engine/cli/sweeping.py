"""sweep: many runs from one file, here or on workers; the same command goes on where it was."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engine.cli.console import Console
from engine.cli.tables import print_table
from engine.cli.workers import workers
from engine.cost.duration import duration
from engine.errors import HeadlightError
from engine.executor.choice import executor_for
from engine.sweep.place import TABLE_FILE, SweepPlace
from engine.sweep.run import planned, run_sweep
from engine.sweep.spec import SweepSpec, read_spec
from engine.sweep.state import SweepState, SweepUnit, UnitState

SHOWN = {"heads": "{:.0f}", "edges": "{:.0f}", "performance": "{:.1f}", "faithfulness": "{:.3f}", "seconds": "{:.1f}"}


def sweep(options: argparse.Namespace, console: Console) -> None:
    """Run what is not finished; with --list only say what there is to do and what is done."""
    spec = _spec(options.spec)
    place = SweepPlace(spec.id, options.out)
    if options.list:
        _show(planned(spec, place), console)
        return
    console.announce(f"sweep {spec.id}: {spec.size:,} runs, kept in {place.folder}")
    with workers(options.ray, console) as executor:
        state = run_sweep(spec, place, executor or executor_for(None), console)
    _show(state, console)
    if console.interrupted:
        console.announce("Interrupted. What is finished is kept: the same command goes on from here.")
    failed = state.count(UnitState.FAILED)
    if failed:
        raise HeadlightError(
            f"{failed} of {len(state.units)} runs failed, see {place.folder / TABLE_FILE}. The same command tries them "
            "again; all others are kept."
        )


def _spec(path: Path) -> SweepSpec:
    try:
        return read_spec(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HeadlightError(f"Cannot read {path}: {error.strerror}. Give a file that says what to run.") from error
    except UnicodeDecodeError as error:
        raise HeadlightError(f"{path} is not a text file (byte {error.start} is no UTF-8). Give YAML.") from error


def _show(state: SweepState, console: Console) -> None:
    header = ("model", "task", "method", "seed", "resample", "state", *SHOWN, "run")
    print_table(header, [_row(unit) for unit in state.units])
    sys.stdout.flush()
    counts = {each.value: state.count(each) for each in UnitState if state.count(each)}
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    left = f", about {duration(state.seconds_left)} left" if state.running and state.seconds_left else ""
    console.announce(f"sweep {state.id}: {words}{left}")


def _row(unit: SweepUnit) -> tuple[str, ...]:
    numbers = [form.format(unit.numbers[name]) if name in unit.numbers else "" for name, form in SHOWN.items()]
    resample = "" if unit.resample is None else str(unit.resample)
    return (unit.model, unit.task, unit.method, str(unit.seed), resample, unit.state.value, *numbers, unit.run or "")
