"""Where rows come from: pasted, uploaded, or copied from the pairs of the present task."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.prepare import Prepared
from engine.tasks.custom import joined
from engine.tasks.prompts import PromptPair
from engine.tasks.table import MAX_BYTES, MAX_ROWS, WHOLE_TABLE, Row, RowProblem, Table, read_table
from engine.tasks.vocabulary import Vocabulary
from pages.prompts import draft
from pages.shared import look

_PASTED = "headlight_pasted"
MEGABYTES = MAX_BYTES // 1_000_000
EXAMPLE = """clean,corrupted,answer,distractor
"When Mary and John went home, John gave a book to","When Alice and Bob went home, Paul gave a book to",Mary,John"""
WANTED = (
    "A line of column names, then a pair a line: clean, corrupted, answer, distractor (several with | between them), "
    "and template if you like. Or JSONL, an object a line with these names."
)


def show(prepared: Prepared | None) -> None:
    paste, upload, copy = st.tabs(["Paste", "Upload a file", "Copy the present task"])
    with paste:
        _paste()
    with upload:
        _upload()
    with copy:
        _copy(prepared)


def _paste() -> None:
    if "own_paste" not in st.session_state:  # never over what is being typed
        st.session_state["own_paste"] = st.session_state.get(_PASTED, "")
    st.text_area(
        "Rows as CSV or JSONL", key="own_paste", height=150, placeholder=EXAMPLE, help=WANTED, on_change=_remember,
    )  # fmt: skip
    with st.container(horizontal=True):
        st.button("Read these rows", key="own_read", icon=":material/input:", on_click=_read_pasted, args=(False,))
        if draft.current().rows:
            st.button(
                "Add them to the rows below", key="own_add", icon=":material/playlist_add:", on_click=_read_pasted,
                args=(True,),
            )  # fmt: skip


def _remember() -> None:
    """Keep what was typed: a visit to another page would lose it."""
    st.session_state[_PASTED] = st.session_state["own_paste"]


def _read_pasted(add: bool) -> None:
    table = read_table(st.session_state["own_paste"].encode("utf-8", "replace"))
    draft.soon(lambda: _take(table, add))


def _upload() -> None:
    st.file_uploader(
        f"A CSV or JSONL file, at most {MEGABYTES} MB and {MAX_ROWS:,} rows", key="own_file", help=WANTED,
        type=["csv", "jsonl", "json", "txt"], max_upload_size=MEGABYTES, on_change=_read_file,
    )  # fmt: skip
    look.note("UTF-8 text. Nothing in it runs; it is read as rows, which stay in this session until you use them.")


def _read_file() -> None:
    file = st.session_state["own_file"]
    if file is not None:
        table = read_table(file.getvalue())
        draft.soon(lambda: _take(table, add=False))


def _take(table: Table, add: bool) -> None:
    """Rows read become the draft; if nothing could be read, the draft stays."""
    rows = table.everything
    if rows:
        known = draft.current().rows if add else ()
        draft.put((*known, *rows), table.problems)
    else:
        draft.note(unread=table.problems)


def problems(unread: Sequence[RowProblem]) -> None:
    """What was wrong with the last text that was read."""
    for problem in unread:
        if problem.row == WHOLE_TABLE:
            st.error(look.plain(f"{problem.reason} {problem.repair}"), icon=":material/error:")
    rows = sorted({problem.row for problem in unread} - {WHOLE_TABLE})
    if rows:
        first = next(problem for problem in unread if problem.row == rows[0])
        st.warning(
            look.plain(
                f"{look.count(len(rows), 'row')} could not be read as written; below with empty cells for what was "
                f"missing. Row {first.row}: {first.reason} {first.repair}"
            ),
            icon=":material/warning:",
        )


def _copy(prepared: Prepared | None) -> None:
    look.note("An editable copy of the pairs the task in the sidebar has now, to change or to add to.")
    if prepared is None:
        look.note("There is none: the present task is not ready.")
        return
    if any(len(pair.answer_tokens) > 1 for pair in prepared.prompts.pairs):
        look.note("This task has pairs with several answers; an own task has one, so the first is taken.")
    st.button(
        f"Copy its {look.count(len(prepared.prompts), 'pair')}", key="own_copy", icon=":material/content_copy:",
        on_click=draft.soon, args=(lambda: _copy_pairs(prepared),),
    )  # fmt: skip


def _copy_pairs(prepared: Prepared) -> None:
    vocabulary = Vocabulary(prepared.model.tokenizer)
    draft.put([_row_of(number, pair, vocabulary) for number, pair in enumerate(prepared.prompts.pairs, start=1)])
    draft.note(metric=prepared.prompts.metric)


def _row_of(number: int, pair: PromptPair, vocabulary: Vocabulary) -> Row:
    answer = _cell(pair, pair.answer_tokens[:1], vocabulary)
    distractor = _cell(pair, pair.distractor_tokens, vocabulary)
    return Row(number, pair.clean, pair.corrupted, answer, distractor, f"template {pair.template_group + 1}")


def _cell(pair: PromptPair, ids: Sequence[int], vocabulary: Vocabulary) -> str:
    """Tokens as they would be typed: without their space where that means the same."""
    texts = zip(ids, vocabulary.pieces(ids), strict=True)
    return "|".join(
        text.strip() if text.strip() and joined(vocabulary, pair.clean, text.strip()) == (token,) else text
        for token, text in texts
        if "|" not in text
    )
