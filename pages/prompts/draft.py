"""Rows in the making: kept in the session whatever state they are in, with a way back from every change.

The editor of Streamlit holds its edits as changes of the data it was given, under its key. So it gets the same data
until rows change from elsewhere (``put``), and then a new key; and the rows of now when it comes back from a visit
to another page, since Streamlit has forgotten its edits by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from engine.tasks.own import OwnTask
from engine.tasks.prompts import Metric
from engine.tasks.table import COLUMNS, OPTIONAL_COLUMN, Row, RowProblem

_DRAFT = "headlight_draft"
CELLS = (*COLUMNS, OPTIONAL_COLUMN)
WAYS_BACK = 30
BLANK = Row(1, "", "", "", "")

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Draft:
    """``given`` is what the editor got under the key of ``version``; ``rows`` what they have become.

    ``before`` holds earlier rows, the latest last; ``unread`` what was wrong with the last text that was read.
    """

    rows: tuple[Row, ...] = ()
    given: tuple[Row, ...] = ()
    version: int = 0
    before: tuple[tuple[Row, ...], ...] = ()
    unread: tuple[RowProblem, ...] = ()
    title: str = ""
    metric: Metric = Metric.LOGIT_DIFF

    @property
    def editor(self) -> str:
        """The key of the editor."""
        return f"own_rows_{self.version}"


def current() -> Draft:
    return st.session_state.setdefault(_DRAFT, Draft())


def note(**fields: Any) -> None:
    """Set title, metric or what could not be read."""
    st.session_state[_DRAFT] = replace(current(), **fields)


def put(rows: Sequence[Row], unread: tuple[RowProblem, ...] = ()) -> None:
    """Other rows in the place of those there are, which can be brought back."""
    draft = current()
    before = (*draft.before, draft.rows)[-WAYS_BACK:] if draft.rows else draft.before
    numbered = _numbered(rows)
    note(rows=numbered, given=numbered, version=draft.version + 1, before=before, unread=unread)


def undo() -> None:
    """The rows as they were before the last ``put``."""
    draft = current()
    if draft.before:
        *before, rows = draft.before
        note(rows=rows, given=rows, version=draft.version + 1, before=tuple(before), unread=())


def open_task(task: OwnTask) -> None:
    """Edit a copy of a kept task."""
    put(task.rows)
    note(title=task.title, metric=task.metric)
    st.session_state.pop("own_title", None)


def columns_given() -> Columns:
    """What the editor starts from, with the number of each row; a blank row where there is none."""
    draft = current()
    if draft.editor not in st.session_state:
        note(given=draft.rows)
    given = current().given or (BLANK,)
    return {"row": [row.number for row in given], **{name: [getattr(row, name) for row in given] for name in CELLS}}


def edited(columns: Columns) -> None:
    """Take over what the editor holds; entirely blank rows are not there yet."""
    draft = current()
    texts = zip(*(columns[name] for name in CELLS), strict=True)
    rows = _numbered([Row(0, *("" if text is None else str(text) for text in cells)) for cells in texts])
    if rows != draft.rows:
        note(rows=rows)
    if sum(number is not None for number in columns["row"]) < len(draft.given):  # numbers would no longer fit
        note(given=rows, version=draft.version + 1)
        st.rerun()


def _numbered(rows: Sequence[Row]) -> tuple[Row, ...]:
    written = [row for row in rows if any(getattr(row, name).strip() for name in CELLS)]
    return tuple(replace(row, number=number) for number, row in enumerate(written, start=1))
