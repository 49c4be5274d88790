"""``python -m benchmarks.reliability``: ``docs/RELIABILITY.md`` put together from what the scripts have counted.

Parts, each by a command of its own: fuzz, faults, kills, load. A part that was not run says so; no number is typed
by hand. The parts' files lie in ``benchmarks/results/``: ``rows`` of numbers and texts, or single values.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import PARTS_FOLDER

DOCUMENT = Path(__file__).parents[1] / "docs" / "RELIABILITY.md"
MISSING = "Not measured yet."
Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """``words`` say what was done, ``summary`` is one sentence of all that the part's file holds.

    ``shown`` names the columns of its rows; of a file without rows the values, those of an object in it as "a.b".
    """

    title: str
    command: str
    words: str
    shown: dict[str, str]
    summary: Callable[[Row], str]


def _fuzz(record: Row) -> str:
    rows = record["rows"]
    inputs, findings = sum(row["inputs"] for row in rows), sum(len(row["findings"]) for row in rows)
    return f"**{inputs:,} inputs, {findings} findings** (a crash, a wrong answer, over 5 s or 1 GB for one input)."


def _faults(record: Row) -> str:
    injected, crashed, lost = (sum(row[name] for row in record["rows"]) for name in ("injected", "crashed", "lost"))
    return f"**{injected:,} faults injected, {crashed} crashes, {lost} times something was lost.**"


def _kills(record: Row) -> str:
    kills, lost = record["kills"], len(record["lost"])
    return f"**{kills:,} kills of {record['model']} on {record['task']}, {lost} times something was lost.**"


def _load(record: Row) -> str:
    errors = len(record["page_errors"]) + len(record["log_errors"])
    return (
        f"**{record['sessions']} sessions for {record['minutes']:g} minutes, {record['results_compared']:,} results "
        f"compared, {len(record['wrong_results'])} wrong, {errors} errors.**"
    )


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
        "python -m benchmarks.kills --pairs 8",
        "A run is killed with signal 9, begun again, and must end with the result of one that was never killed.",
        {
            "states.not begun": "killed before the run began", "states.incomplete": "killed within it",
            "states.done": "killed after its end", "resumed": "starts that went on from what was done",
            "chunks": "pieces of work that a kill had left", "finished": "runs that came to their end",
            "equal": "of them the same as without a kill", "lost": "lost something",
        },
        _kills,
    ),
    "load": Part(
        "Many browsers at once",
        "python -m benchmarks.load",
        "Sessions with mixed tasks on the real server, on loopback. Each result must be, bit for bit, what a lone run "
        "gives.",
        {
            "browsers": "sessions in a real browser", "requests": "different requests",
            "results_compared": "results held against a lone run", "wrong_results": "wrong results",
            "page_errors": "errors on a page", "log_errors": "errors in the log",
            "downloads_clicked_again": "downloads that had to be clicked twice", "most_waiting": "most jobs waiting",
            "script_run_s.median": "run of a page, median, s", "visit_to_scores_s.median": "visit to scores, median, s",
            "search_to_circuit_s.median": "search to circuit, queue included, median, s",
            "memory_mb.most": "most memory, MB",
            "memory_mb.growth_per_minute": "growth after the warm-up, MB a minute",
        },
        _load,
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
    if "rows" not in record:
        return [part.summary(record), "", *_single(part, record), ""]
    unfinished = "" if record.get("finished", True) else " Unfinished: parts are missing."
    made = f"{record['date']}, {record['machine']}.{unfinished}"
    return [part.summary(record), "", *_table(part, record["rows"]), "", made, ""]


def _single(part: Part, record: Row) -> list[str]:
    cells = [f"| {words} | {_cell(_value(record, name.split('.')))} |" for name, words in part.shown.items()]
    return ["| what | count |", "| --- | --: |", *cells]


def _value(record: Row, path: list[str]) -> Any:
    """None where the part had nothing to count."""
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _table(part: Part, rows: list[Row]) -> list[str]:
    columns = part.shown
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
