"""The desk for own tasks: bring rows, mend them, use them; and the tasks kept on this machine."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import streamlit as st

from engine.figures.export import rows_csv
from engine.models.model import Model
from engine.prepare import Prepared
from engine.serving.limits import limits
from engine.tasks import own
from engine.tasks.own import OwnTask, own_task
from engine.tasks.prompts import Metric
from engine.tasks.table import MAX_ROWS, Row
from pages.prompts import draft, linter, shelf, sources
from pages.shared import look
from pages.shared.metric_words import METRIC_WORDS
from pages.shared.view import View

LEAD = (
    "Pairs of your own: a clean prompt, a corrupted one of the same length in tokens, the answer the model should give "
    "after the clean prompt, and a wrong one. Rows are checked as you edit them; nothing is lost, whatever is wrong."
)


def show(view: View, model: Model | None, prepared: Prepared | None) -> None:
    bring, edit, check, use, kept = (st.container() for _ in range(5))
    with bring:
        look.step(None, "Your own task", LEAD)
        shelf.news()
        sources.show(prepared)
        sources.problems(draft.current().unread)
    with edit:
        _edit()
    rows = draft.current().rows
    with check:
        faults = None
        if rows and model is not None:
            faults = linter.faults_of(rows, model)
            look.step(None, "Check and repair", f"By the tokenizer of {escape(model.name)}.")
            linter.show(rows, faults, model)
        elif rows:
            look.note("The rows are checked as soon as the model in the sidebar is loaded.")
    with use:
        if rows:
            _use(rows, ready=faults is not None and not faults and len(rows) <= MAX_ROWS)
    with kept:
        shelf.show(view)


def _edit() -> None:
    """The rows in a table that can be edited, rows added and deleted."""
    columns = draft.columns_given()
    text = st.column_config.TextColumn
    config: dict[str, Any] = {
        "row": st.column_config.NumberColumn("row", disabled=True, width=56),
        "clean": text("clean", width=330), "corrupted": text("corrupted", width=330),
        "answer": text("answer", width=110), "distractor": text("distractor", width=120, help="several with | between"),
        "template": text(
            "template", width=110, help="Rows of one template and token length are averaged together. May be empty."
        ),
    }  # fmt: skip
    look.note("Click a cell to edit it. The line at the end adds a row; tick rows and press Delete to remove them.")
    columns_now = st.data_editor(
        columns, key=draft.current().editor, num_rows="dynamic", hide_index=True, column_config=config,
        column_order=("row", *draft.CELLS), alt="The rows of your own task", placeholder="",
    )  # fmt: skip
    draft.edited(columns_now)
    _ways_back()
    draft.settle()


def _ways_back() -> None:
    """Undo and redo, for edits and repairs alike."""
    now = draft.current()
    with st.container(horizontal=True, key="own_ways_back"):
        if now.before:
            st.button("Undo", key="own_undo", icon=":material/undo:", on_click=draft.soon, args=(draft.undo,))
        if now.after:
            st.button("Redo", key="own_redo", icon=":material/redo:", on_click=draft.soon, args=(draft.redo,))


def _use(rows: tuple[Row, ...], ready: bool) -> None:
    look.step(None, "Use it", "Everywhere a built-in task is: Explorer, Pruning, Path patching and all other pages.")
    now = draft.current()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if "own_title" not in st.session_state:  # never over what is being typed
            st.session_state["own_title"] = now.title
        st.text_input(
            "Title", key="own_title", max_chars=own.LONGEST_TITLE, placeholder=f"Own task · {len(rows)} pairs",
            on_change=lambda: draft.note(title=st.session_state["own_title"]),
        )  # fmt: skip
        st.session_state["own_metric"] = now.metric
        st.selectbox(
            "Metric", list(Metric), format_func=lambda metric: f"{METRIC_WORDS[metric][0]}: {METRIC_WORDS[metric][2]}",
            key="own_metric", on_change=lambda: draft.note(metric=st.session_state["own_metric"]),
        )  # fmt: skip
    task = own_task(rows, now.metric, now.title)
    with st.container(horizontal=True):
        st.button(
            "Use this task", key="own_use", type="primary", icon=":material/check:", disabled=not ready,
            on_click=draft.soon, args=(lambda: _keep(task, True),),
            help=None if ready else "Rows with problems must be mended first.",
        )  # fmt: skip
        st.button(
            "Keep for later", key="own_keep", disabled=not ready, on_click=draft.soon,
            args=(lambda: _keep(task, False),),
        )  # fmt: skip
        _downloads(rows)
    look.note(
        "Kept in this machine’s cache folder under a name made of the rows, so a link to it always means these rows. "
        f"A run takes as many of the first rows as “Prompt pairs” says, at most {limits().pairs}. A circuit is "
        "verified on the pairs it was found on, as there are no others."
    )


def _keep(task: OwnTask, use_it: bool) -> None:
    """Keep the task, unless a cell has changed in the moment of the click: then its check comes first."""
    if draft.current().rows == task.rows:
        shelf.keep(task, use_it)


def _downloads(rows: tuple[Row, ...]) -> None:
    records = [{name: getattr(row, name) for name in draft.CELLS} for row in rows]
    look.download("Rows as CSV", lambda: rows_csv([dict(record) for record in records]), "own-task.csv", "text/csv")
    look.download(
        "Rows as JSONL", lambda: "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records),
        "own-task.jsonl", "application/jsonl",
    )  # fmt: skip
