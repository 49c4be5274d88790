"""The table of runs: searched, filtered, ordered; what is selected there can be opened, named, compared, deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import streamlit as st

from engine.serving.limits import limits
from engine.store.stored_run import StoredRun
from pages.runs import actions
from pages.runs.rows import STATES, chosen, row_of, size_words, tags_in
from pages.shared import look, rooms, state
from pages.shared.background import background
from pages.shared.job_names import model_title, task_title
from pages.shared.link_readers import MAX_PICKED, MAX_SEARCH
from pages.shared.view import RUN_ORDERS, RUN_STATES, View

ORDER_TITLES = {
    "newest": "Newest first", "oldest": "Oldest first", "name": "Name", "heads": "Fewest heads",
    "faithfulness": "Faithfulness", "bytes": "Largest on disk",
}  # fmt: skip
STATE_TITLES = {"all": "Any state"} | {state.value: words[2:].capitalize() for state, words in STATES.items()}
FILTERS = ("run_find", "run_model", "run_task", "run_state", "run_tag")
HEIGHT = 460  # pixels at most
ROW = 35


def show(view: View) -> None:
    listing = background().kept.listing()
    actions.undo()
    if listing.problem is not None:
        st.error(look.plain(f"The runs kept here cannot be listed. {listing.problem}"), icon=":material/error:")
        look.note("Searches still run, and what they find stays in memory until the server ends.")
        return
    if not listing.runs:
        _nothing()
        return
    _filters(listing.runs, view)
    shown = chosen(listing.runs, view)
    _how_many(listing.runs, shown)
    if not shown:
        look.empty("No run like that", "Search for a part of a name, a model, a task or a tag, or loosen the filters.")
        st.button("Show all", key="all_runs", icon=":material/filter_alt_off:", on_click=_show_all)
        return
    _table(shown, view)
    by_id = {run.id: run for run in listing.runs}
    actions.show([by_id[name] for name in view.picked if name in by_id])


def _nothing() -> None:
    if limits().keeps:
        look.empty(
            "No run is kept yet",
            "Every search on these pages, and by the command line’s discover, is kept here by itself: what it was "
            "asked, what it found, what it took. Closing the page or the server loses nothing.",
        )
    else:
        look.empty(
            "No run is kept here",
            "This demonstration keeps no searches. Those you make can be taken away from the page Circuit as one small "
            "file, and opened here.",
        )
    with st.container(horizontal=True, horizontal_alignment="center"):
        rooms.link("explorer", "Find a circuit on the Explorer")


def _show_all() -> None:
    state.change(**{name: getattr(View, name) for name in FILTERS})


def _filters(kept: Sequence[StoredRun], view: View) -> None:
    models, tasks = sorted({run.model for run in kept}), sorted({run.task for run in kept})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="run_filters"):
        state.show("run_find", view.run_find)
        st.text_input(
            "Search", placeholder="name, model, task, tag", max_chars=MAX_SEARCH, width=180,
            icon=":material/search:", **state.bound("run_find", read=str.strip),
        )  # fmt: skip
        _choice("run_model", "Model", models, view.run_model, {name: model_title(name) for name in models}, "Any model")
        _choice("run_task", "Task", tasks, view.run_task, {name: task_title(name) for name in tasks}, "Any task")
        state.show("run_state", view.run_state)
        st.selectbox(
            "State", RUN_STATES, format_func=STATE_TITLES.__getitem__, width=125, **state.bound("run_state")
        )
        if tags := tags_in(kept):
            _choice("run_tag", "Tag", tags, view.run_tag, {}, "Any tag")
        state.show("run_order", view.run_order)
        st.selectbox(
            "Order", RUN_ORDERS, format_func=ORDER_TITLES.__getitem__, width=150, **state.bound("run_order")
        )


def _choice(
    field: str, label: str, choices: Sequence[str], value: str, titles: dict[str, str], every: str
) -> None:
    """One of those there are, or any; a link's own choice stays one, though no run has it."""
    options = ["", *choices, *([value] if value and value not in choices else [])]
    state.show(field, value)
    st.selectbox(
        label, options, format_func=lambda name: titles.get(str(name), str(name)) if name else every, width=145,
        **state.bound(field),
    )  # fmt: skip


def _how_many(kept: Sequence[StoredRun], shown: Sequence[StoredRun]) -> None:
    if not limits().keeps:  # where they lie is the keeper's business
        look.note(f"{len(shown)} of {look.count(len(kept), 'run')} shown.")
        return
    behind = background()
    gone = sum(run.bytes for run in behind.kept.listing(deleted=True).runs if run.deleted is not None)
    size = sum(run.bytes for run in kept)
    look.note(
        f"{len(shown)} of {look.count(len(kept), 'run')} shown. On disk they take {size_words(size)}"
        + (f", deleted ones {size_words(gone)} more," if gone else "")
        + f" in {behind.kept.store().root}."
    )


def _table(shown: Sequence[StoredRun], view: View) -> None:
    ids = [run.id for run in shown]
    key = f"runs_{hashlib.sha256(','.join(ids).encode()).hexdigest()[:12]}"  # other rows, other table
    st.session_state[key] = {"selection": {"rows": [ids.index(name) for name in view.picked if name in ids]}}

    def pick() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        state.change(picked=tuple(ids[row] for row in rows[:MAX_PICKED] if row < len(ids)))

    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        [row_of(run) for run in shown], key=key, on_select=pick, selection_mode="multi-row", hide_index=True,
        height=min(HEIGHT, 38 + ROW * len(shown)), placeholder="–", alt="Runs kept on this machine, one a row",
        column_config={
            "name": text(pinned=True, width=190), "method": text(width="medium"),
            "model": text(width=125), "task": text(width=150),
            "faithfulness": number(format="%.3f", help="Of the circuit alone: 1 is the whole model, on fresh pairs"),
            "performance": number("performance %", format="%.1f"),
            "begun": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "took": number("took (s)", format="%.1f", help="Seconds the run worked, pruning included"),
            "kB": number(format="%.0f", help="On disk, attachments included"),
            "tags": st.column_config.ListColumn(),
        },
    )  # fmt: skip
    if not view.picked:
        acts = "open, name or delete it" if limits().keeps else "open it"
        look.note(f"Select a run to {acts}; two to compare them.")
