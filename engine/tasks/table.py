"""Rows of an own task, read from CSV or JSONL bytes or from dictionaries. Nothing in them runs.

1. The bytes must be UTF-8, at most 2 MB, at most 2000 rows.
2. Text that starts with "{" is JSONL (an object a line), anything else CSV with a header.
3. Columns: clean, corrupted, answer, distractor (several separated by "|"), and optionally template.

Every problem is reported, not the first alone; rows that can be read are kept beside the problems, and of the
others what could be made out of them, to be mended by hand.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

MAX_BYTES = 2_000_000
MAX_ROWS = 2000
COLUMNS = ("clean", "corrupted", "answer", "distractor")
OPTIONAL_COLUMN = "template"
WHOLE_TABLE = 0
EXAMPLE = '{"clean": "...", "corrupted": "...", "answer": "...", "distractor": "..."}'


@dataclass(frozen=True)
class RowProblem:
    """Why a row is refused and how to mend it. Rows count from 1, without the header; 0 is the whole table."""

    row: int
    column: str
    reason: str
    repair: str


@dataclass(frozen=True)
class Row:
    """One pair as written, not yet checked against a tokenizer."""

    number: int
    clean: str
    corrupted: str
    answer: str
    distractor: str
    template: str = ""


@dataclass(frozen=True)
class Table:
    """The rows that could be read, and what was wrong with the rest.

    ``scraps`` are what could be made out of rows that were refused, with empty cells for what was missing.
    """

    rows: tuple[Row, ...]
    problems: tuple[RowProblem, ...] = ()
    scraps: tuple[Row, ...] = ()

    @property
    def everything(self) -> tuple[Row, ...]:
        """Rows and scraps in the order they were written, for mending."""
        return tuple(sorted((*self.rows, *self.scraps), key=lambda row: row.number))


def read_table(data: bytes) -> Table:
    """Rows of an uploaded or pasted CSV or JSONL file."""
    if len(data) > MAX_BYTES:
        reason = f"The file has {len(data):,} bytes; at most {MAX_BYTES:,} are read."
        return _refused("", reason, "Split it into smaller files.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"The file is not UTF-8 text (byte {error.start} is 0x{data[error.start]:02x})."
        return _refused("", reason, 'Save it again with the encoding "UTF-8" (in Excel: "CSV UTF-8").')
    return _read_jsonl(text) if text.lstrip().startswith("{") else _read_csv(text)


def table_of(records: Sequence[Mapping[str, object]]) -> Table:
    """Rows from dictionaries with the same keys as the columns."""
    return _collect(enumerate(records, start=1))


def _refused(column: str, reason: str, repair: str) -> Table:
    return Table((), (RowProblem(WHOLE_TABLE, column, reason, repair),))


def _read_csv(text: str) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [line for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        reason = f"Line {reader.line_num} is not valid CSV: {error}."
        return _refused(
            "", reason, 'Put text that holds commas or quotes in "double quotes", and double the quotes inside.'
        )
    if not lines:
        return _collect(iter(()))
    header = [_column(name) for name in lines[0]]
    missing = [name for name in COLUMNS if name not in header]
    doubled = sorted({name for name in header if name in COLUMNS and header.count(name) > 1})
    if missing or doubled:
        return Table((), tuple(_header_problems(missing, doubled, header)))
    return _collect_lines(header, lines[1:])


def _column(name: str) -> str:
    name = name.strip().lower()
    return "distractor" if name == "distractors" else name


def _header_problems(missing: list[str], doubled: list[str], header: list[str]) -> Iterator[RowProblem]:
    for name in missing:
        reason = f"The column {name} is missing; the first line names {', '.join(filter(None, header)) or 'none'}."
        yield RowProblem(WHOLE_TABLE, name, reason, f"Start the file with the line: {','.join(COLUMNS)}")
    for name in doubled:
        yield RowProblem(WHOLE_TABLE, name, f"There is more than one column {name}.", "Keep one of them.")


def _collect_lines(header: list[str], lines: list[list[str]]) -> Table:
    numbered = list(enumerate(lines, start=1))
    wrong = [(number, line) for number, line in numbered if len(line) != len(header)]
    records = ((n, dict(zip(header, line, strict=True))) for n, line in numbered if len(line) == len(header))
    table = _collect(records, n_rows=len(lines))
    repair = 'Put text that holds a comma in "double quotes".'
    uneven = tuple(
        RowProblem(number, "", f"The row has {len(line)} cells; the header has {len(header)}.", repair)
        for number, line in wrong
    )
    scraps = tuple(_row(number, dict(zip(header, line, strict=False))) for number, line in wrong)
    if len(lines) > MAX_ROWS:
        return table
    return replace(table, problems=table.problems + uneven, scraps=table.scraps + scraps)


def _read_jsonl(text: str) -> Table:
    records: list[tuple[int, Mapping[str, object]]] = []
    problems, scraps = [], []
    lines = [line for line in text.split("\n") if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # no JSON, a number of thousands of digits, endless brackets
            reason = f"The line is not valid JSON: {error}."
            problems.append(RowProblem(number, "", reason, f"Write one object a line: {EXAMPLE}"))
            scraps.append(_row(number, {"clean": line}))
            continue
        if isinstance(record, dict):
            records.append((number, {_column(name): value for name, value in record.items()}))
        else:
            reason = f"The line is not an object but {type(record).__name__}."
            problems.append(RowProblem(number, "", reason, f"Write one object a line: {EXAMPLE}"))
            scraps.append(_row(number, {"clean": line}))
    table = _collect(iter(records), n_rows=len(lines))
    if len(lines) > MAX_ROWS:
        return table
    return replace(table, problems=table.problems + tuple(problems), scraps=table.scraps + tuple(scraps))


def _collect(records: Iterator[tuple[int, Mapping[str, object]]], n_rows: int | None = None) -> Table:
    """Rows of numbered records; ``n_rows`` counts those that could not be read too."""
    numbered = list(records)
    n_rows = len(numbered) if n_rows is None else n_rows
    if not n_rows:
        return _refused("", "There are no rows.", f"Add at least one row with {', '.join(COLUMNS)}.")
    if n_rows > MAX_ROWS:
        return _refused("", f"There are {n_rows} rows; at most {MAX_ROWS} are read.", "Leave out the rest.")
    rows, problems, scraps = [], [], []
    for number, record in numbered:
        found = list(_record_problems(number, record))
        problems.extend(found)
        (scraps if found else rows).append(_row(number, record))
    return Table(tuple(rows), tuple(problems), tuple(scraps))


def _row(number: int, record: Mapping[str, object]) -> Row:
    """A record as far as it goes."""
    texts = {name: "" if record.get(name) is None else str(record[name]) for name in COLUMNS}
    return Row(number, **texts, template=str(record.get(OPTIONAL_COLUMN) or ""))


def _record_problems(number: int, record: Mapping[str, object]) -> Iterator[RowProblem]:
    for name in COLUMNS:
        value = record.get(name)
        if value is None:
            yield RowProblem(number, name, f"The value {name} is missing.", f"Give the row a {name}.")
        elif not isinstance(value, str):
            reason = f"The value {name} is {type(value).__name__}, not text."
            yield RowProblem(number, name, reason, 'Put it in "double quotes".')
