"""``python -m benchmarks.reliability``: ``docs/RELIABILITY.md`` put together from what the scripts have counted.

Parts, each by a command of its own: fuzz, faults, kills, load. A part that was not run says so; no number is typed
by hand. The parts' files lie in ``benchmarks/results/``: ``rows`` of numbers and texts, or such values by name alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import PARTS_FOLDER

DOCUMENT = Path(__file__).parents[1] / "docs" / "RELIABILITY.md"
MISSING = "Not measured yet."
Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """``words`` say what was done; ``columns`` name what of a row is shown; ``summary`` is one sentence of all rows."""

    title: str
    command: str
    words: str
    columns: dict[str, str] = field(default_factory=dict)
    summary: Callable[[list[Row]], str] | None = None


def _fuzz(rows: list[Row]) -> str:
    inputs, findings = sum(row["inputs"] for row in rows), sum(len(row["findings"]) for row in rows)
    return f"**{inputs:,} inputs, {findings} findings** (a crash, a wrong answer, over 5 s or 1 GB for one input)."


def _faults(rows: list[Row]) -> str:
    injected, crashed, lost = (sum(row[name] for row in rows) for name in ("injected", "crashed", "lost"))
    return f"**{injected:,} faults injected, {crashed} crashes, {lost} times something was lost.**"


PARTS = {
    "fuzz": Part(
        "Inputs that are nearly right",
        "python -m benchmarks.fuzz --write",
        "Seeded changes of valid inputs at every entrance. Each must be accepted, or refused with a HeadlightError.",
        {"part": "entrance", "inputs": "inputs", "refused": "refused", "findings": "findings", "slowest": "slowest, s"},
        _fuzz,
    ),
    "faults": Part(
        "Full disks, read-only folders, clocks set back, damaged files",
        "python -m benchmarks.faults --write",
        "Each fault is done while something is written, or before it is read. Afterwards what was kept before must be "
        "as it was, nothing may be there by half, and the next write must work. Of a damaged file, its own content is "
        "not counted as lost.",
        {
            "fault": "fault", "subject": "what is kept", "injected": "times", "done": "went through",
            "refused": "refused with words", "crashed": "crashed", "lost": "lost something",
        },
        _faults,
    ),
    "kills": Part(
        "Processes killed at random points",
        "python -m benchmarks.kills",
        "A run is killed with signal 9, begun again, and must end with the result of one that was never killed.",
    ),
    "load": Part(
        "Many browsers at once",
        "python -m benchmarks.load",
        "Sessions with mixed tasks on the real server, on loopback. Each result must be, bit for bit, what a lone run "
        "gives.",
    ),
}  # fmt: skip


def document(folder: Path = PARTS_FOLDER) -> str:
    """The whole text."""
    lines = [
        "# Reliability", "",
        "What was done to Headlight on purpose, how often, and what came of it. Made by `python -m "
        "benchmarks.reliability` from the counts in `benchmarks/results/`; each table names the command that makes it "
        "again. What is promised stands in [SECURITY.md](SECURITY.md).", "",
    ]  # fmt: skip
    for name, part in PARTS.items():
        lines += [f"## {part.title}", "", part.words, "", f"    {part.command}", ""]
        lines += _counted(part, folder / f"{name}.json")
    return "\n".join(lines)


def _counted(part: Part, path: Path) -> list[str]:
    if not path.exists():
        return [MISSING, ""]
    record = json.loads(path.read_text(encoding="utf-8"))
    if part.summary is None:
        return [*_by_name(record), ""]
    rows = record["rows"]
    unfinished = "" if record.get("finished", True) else " Unfinished: parts are missing."
    return [part.summary(rows), "", *_table(part, rows), "", f"{record['date']}, {record['machine']}.{unfinished}", ""]


def _by_name(record: Row) -> list[str]:
    """All single values of a record, those of objects in it too; of a list, how long it is."""
    flat: Row = {}
    for name, value in record.items():
        inside = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name}, {inner}": each for inner, each in inside} or {name: value}
    shown = [(name.replace("_", " "), value) for name, value in flat.items() if not isinstance(value, dict)]
    return ["| what | count |", "| --- | --: |", *(f"| {name} | {_cell(value)} |" for name, value in shown)]


def _table(part: Part, rows: list[Row]) -> list[str]:
    columns = part.columns
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    numbers = [all(isinstance(row.get(name), int | float | list) for row in rows) for name in columns]
    return [
        f"| {' | '.join(columns.values())} |",
        f"| {' | '.join('--:' if number else '---' for number in numbers)} |",
        *(f"| {' | '.join(row)} |" for row in cells),
    ]


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return str(len(value))
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if type(value) is int else str(value if value is not None else "–").replace("|", "\\|")


def main() -> None:
    DOCUMENT.write_text(document(), encoding="utf-8")
    print(f"Written to {DOCUMENT}")


if __name__ == "__main__":
    main()
