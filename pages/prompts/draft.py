"""Rows in the making: kept in the session whatever state they are in, with a way back from every change.

The editor of Streamlit holds its edits as changes of the data it was given, under its key. So it gets the same data
until rows change from elsewhere (``put``), and then a new key; and the rows of now when it comes back from a visit
to another page, since Streamlit has forgotten its edits by then.

And it sends an edit only a moment after the click that ended it. A click on a repair would come first and put the
editor away with the edit still in it, so what clicks do to the rows waits for that moment (``soon``, ``settle``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from engine.tasks.own import OwnTask
from engine.tasks.prompts import Metric
from engine.tasks.table import COLUMNS, OPTIONAL_COLUMN, Row, RowProblem

_DRAFT, _WAITING = "headlight_draft", "headlight_draft_waiting"
CELLS = (*COLUMNS, OPTIONAL_COLUMN)
WAYS_BACK = 30
SETTLE_SECONDS = 0.4  # Streamlit's editor holds an edit back for .15 s; the rest is for the way here
BLANK = Row(1, "", "", "", "")

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Draft:
    """``given`` is what the editor got under the key of ``version``; ``rows`` what they have become.

    ``before`` holds earlier rows and ``after`` those that were undone, the nearest last; ``unread`` says what was
    wrong with the last text that was read.
    """

    rows: tuple[Row, ...] = ()
    given: tuple[Row, ...] = ()
    version: int = 0
    before: tuple[tuple[Row, ...], ...] = ()
    after: tuple[tuple[Row, ...], ...] = ()
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
    numbered = _numbered(rows)
    note(before=_with_present(), after=(), rows=numbered, unread=unread)
    _give(numbered)


def undo() -> None:
    """The rows as they were before the last change, whether edited or put."""
    draft = current()
    if draft.before:
        *before, rows = draft.before
        note(before=tuple(before), after=(*draft.after, draft.rows), rows=rows, unread=())
        _give(rows)


def redo() -> None:
    """The rows as they were before the last ``undo``."""
    draft = current()
    if draft.after:
        *after, rows = draft.after
        note(before=_with_present(), after=tuple(after), rows=rows)
        _give(rows)


def soon(change: Callable[[], None]) -> None:
    """For the callback of a click: do it in this run, once the editor has sent what was typed last."""
    st.session_state[_WAITING] = (time.monotonic() + SETTLE_SECONDS, change)


def settle() -> None:
    """Do what waits; called once the editor's rows are taken over. A new run follows."""
    if _WAITING not in st.session_state:
        return
    due, change = st.session_state[_WAITING]
    left = due - time.monotonic()
    if left > 0:
        time.sleep(left)
    else:
        del st.session_state[_WAITING]
        change()
    st.rerun()


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
        note(before=_with_present(), after=(), rows=rows)
    if sum(number is not None for number in columns["row"]) < len(draft.given):  # numbers would no longer fit
        _give(rows)
        st.rerun()


def _give(rows: tuple[Row, ...]) -> None:
    """Start the editor anew with these rows."""
    note(given=rows, version=current().version + 1)


def _with_present() -> tuple[tuple[Row, ...], ...]:
    """The ways back, with the rows there are now as the nearest."""
    draft = current()
    return (*draft.before, draft.rows)[-WAYS_BACK:] if draft.rows else draft.before


def _numbered(rows: Sequence[Row]) -> tuple[Row, ...]:
    written = [row for row in rows if any(getattr(row, name).strip() for name in CELLS)]
    return tuple(replace(row, number=number) for number, row in enumerate(written, start=1))
