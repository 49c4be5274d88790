"""Rows checked, each token by token with what is wrong with it, and repairs to click."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from functools import partial
from html import escape

import streamlit as st

from engine.models.model import Model
from engine.tasks.alignment import align
from engine.tasks.custom import check_table
from engine.tasks.own import own_task
from engine.tasks.repairs import Bench, Repair, repaired, repairs
from engine.tasks.table import MAX_ROWS, Row, RowProblem, Table
from engine.tasks.vocabulary import Vocabulary
from pages.prompts import aligned, draft
from pages.shared import look

A_PAGE = 8


def faults_of(rows: Sequence[Row], model: Model) -> dict[int, list[RowProblem]]:
    """Problems by row; checked once for the same rows and model."""
    found: dict[int, list[RowProblem]] = {}
    for problem in _checked(own_task(rows).name, model.name, tuple(rows), model) if rows else ():
        found.setdefault(problem.row, []).append(problem)
    return found


@st.cache_data(show_spinner=False, max_entries=32)
def _checked(content: str, model: str, _rows: tuple[Row, ...], _model: Model) -> tuple[RowProblem, ...]:
    return check_table(Table(_rows), _model.tokenizer, _model.max_positions).problems


def show(rows: tuple[Row, ...], faults: dict[int, list[RowProblem]], model: Model) -> None:
    bench = Bench(Vocabulary(model.tokenizer), model.max_positions)
    _summary(rows, faults)
    _for_all(rows, faults, bench)
    wanted = _wanted(rows, faults)
    page = 1
    if len(wanted) > A_PAGE:
        count = -(-len(wanted) // A_PAGE)
        page = st.pagination(count, key=f"own_page_{count}")
    for row in wanted[(page - 1) * A_PAGE : page * A_PAGE]:
        _row(row, faults.get(row.number, []), model, bench)


def _summary(rows: tuple[Row, ...], faults: dict[int, list[RowProblem]]) -> None:
    if len(rows) > MAX_ROWS:
        look.verdict(f"{len(rows):,} rows are too many.", f"At most {MAX_ROWS:,} can be used. Delete some.", "no")
    elif not faults:
        look.verdict(f"All {look.count(len(rows), 'row')} can be used.", "Give them a title and use them below.")
    else:
        good = len(rows) - len(faults)
        look.verdict(
            f"{len(faults)} of {look.count(len(rows), 'row')} cannot be used yet.",
            f"{good} can. Edit the cells above, or click a repair; everything can be undone.", "no",
        )  # fmt: skip


def _for_all(rows: tuple[Row, ...], faults: dict[int, list[RowProblem]], bench: Bench) -> None:
    """Repairs of all rows at once."""
    with st.container(horizontal=True):
        if faults:
            bad = {row for row in rows if row.number in faults}
            st.button(
                "Repair all that can be", key="own_repair_all", icon=":material/auto_fix_high:", on_click=draft.soon,
                args=(lambda: _repair(bad, bench),),
            )  # fmt: skip
            st.button(
                f"Drop the {look.count(len(faults), 'row')} with problems", key="own_drop_all",
                icon=":material/delete_sweep:", on_click=draft.soon, args=(lambda: _drop(bad),),
            )  # fmt: skip


def _repair(bad: Set[Row], bench: Bench) -> None:
    with st.spinner("Repairing …"):
        draft.put([repaired(row, bench) if row in bad else row for row in draft.current().rows])


def _drop(bad: Set[Row]) -> None:
    draft.put([row for row in draft.current().rows if row not in bad])


def _wanted(rows: tuple[Row, ...], faults: dict[int, list[RowProblem]]) -> list[Row]:
    """Which rows to show: those with problems, unless asked for all."""
    if not faults:
        return list(rows)
    which = st.segmented_control(
        "Rows shown", ["with problems", "all"], default="with problems", required=True, key="own_which"
    )
    return [row for row in rows if row.number in faults or which == "all"]


def _row(row: Row, problems: Sequence[RowProblem], model: Model, bench: Bench) -> None:
    encode = bench.vocabulary.encode
    tokens_of = align(encode(row.clean), encode(row.corrupted), model.tokenizer) if row.clean or row.corrupted else ()
    said = "".join(
        f"<li><b>{escape(problem.column or 'whole row')}</b> {escape(problem.reason)} "
        f"<em>{escape(problem.repair)}</em></li>"
        for problem in problems
    )
    words = (
        f"<span>answer</span>{_cell(row.answer, 'answer')}<span>not</span>"
        f"{''.join(_cell(text, 'distractor') for text in row.distractor.split('|'))}"
    )
    st.html(
        f'<div class="hl-pair hl-wide{" bad" if problems else ""}" role="group" aria-label="Row {row.number}">'
        f'<div class="hl-about"><b>Row {row.number}</b>{words}</div>{aligned.rows(tokens_of)}'
        f"{f'<ul>{said}</ul>' if said else ''}</div>"
    )
    offered = repairs(row, bench) if problems else ()
    if offered:
        with st.container(horizontal=True, key=f"own_repairs_{row.number}"):
            for number, repair in enumerate(offered):
                st.button(
                    look.plain(repair.label), key=f"own_repair_{row.number}_{number}", type="secondary",
                    icon=":material/delete:" if repair.row is None else ":material/build:",
                    on_click=draft.soon, args=(partial(_apply, row, repair),),
                )  # fmt: skip


def _cell(text: str, kind: str) -> str:
    return aligned.chips([text], kind) if text.strip() else '<span class="hl-tokens"><q class="gap">empty</q></span>'


def _apply(row: Row, repair: Repair) -> None:
    """The row as repaired in its place, or left out.

    Nothing, if it is no longer the row the button was drawn for: a page being drawn shows old buttons for a moment.
    """
    rows = draft.current().rows
    if row in rows:
        mended = [] if repair.row is None else [replace(repair.row, number=row.number)]
        draft.put([new for old in rows for new in (mended if old == row else [old])])
