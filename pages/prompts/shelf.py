"""The own tasks kept on this machine: use, edit a copy, rename, delete."""

from __future__ import annotations

import streamlit as st

from engine.errors import HeadlightError
from engine.serving.limits import limits
from engine.tasks import own
from engine.tasks.own import OwnTask
from pages.prompts import draft
from pages.shared import look, own_tasks, rooms, state
from pages.shared.view import View

_TROUBLE, _NEWS = "headlight_own_trouble", "headlight_own_news"


def keep(task: OwnTask, use_it: bool) -> None:
    """Write it to the cache folder, and turn every page to it if asked to."""
    try:
        own.keep(task)
    except HeadlightError as error:
        st.session_state[_TROUBLE] = str(error)
        return
    st.session_state[_NEWS] = f"“{task.title}” is kept."
    if use_it:
        use(task)


def use(task: OwnTask) -> None:
    """Turn every page to a kept task, with all its rows."""
    st.session_state[_NEWS] = f"“{task.title}” is in use on every page now."
    state.change(
        task=task.name, pairs=min(len(task.rows), limits().pairs), head=None, edge=None, prompt=0, pair_filter="all",
        pair_page=1,
    )  # fmt: skip


def news() -> None:
    """What came of the last click, once."""
    trouble, text = st.session_state.pop(_TROUBLE, None), st.session_state.pop(_NEWS, None)
    if trouble is not None:
        st.error(look.plain(trouble), icon=":material/error:")
    if text is not None:
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.success(look.plain(text), icon=":material/check:")
        with right:
            rooms.link("explorer", "See it in the Explorer", own=False)


def show(view: View) -> None:
    tasks = own_tasks.kept()
    if not tasks:
        return
    look.step(None, "Kept tasks", "They stay on this machine, for everyone who uses Headlight on it.")
    in_use = view.task if view.task in tasks else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Kept task", list(tasks), key="own_kept", width=420,
            format_func=lambda each: _label(tasks[each], each == in_use) if each in tasks else each,
        )  # fmt: skip
        task = tasks[name]
        st.button("Use", key="own_kept_use", icon=":material/check:", on_click=use, args=(task,))
        st.button(
            "Edit a copy", key="own_kept_open", icon=":material/edit:", on_click=draft.soon,
            args=(lambda: draft.open_task(task),), help="Takes the place of the rows above, which Undo brings back.",
        )  # fmt: skip
        with st.popover("Rename", icon=":material/label:"):
            st.text_input(
                "New title", key=f"own_rename_{name}", value=task.title, max_chars=own.LONGEST_TITLE,
                on_change=_rename, args=(name,),
            )  # fmt: skip
        with st.popover("Delete", icon=":material/delete:"):
            look.note("The file is deleted; links to the task stop working. A copy to edit can be taken first.")
            st.button("Delete it for good", key="own_kept_delete", on_click=_forget, args=(name,))


def _label(task: OwnTask, in_use: bool) -> str:
    return f"{task.title} ({look.count(len(task.rows), 'pair')}{', in use' if in_use else ''})"


def _forget(name: str) -> None:
    try:
        own.forget(name)
    except HeadlightError as error:
        st.session_state[_TROUBLE] = str(error)


def _rename(name: str) -> None:
    try:
        own.rename(name, st.session_state[f"own_rename_{name}"])
    except HeadlightError as error:
        st.session_state[_TROUBLE] = str(error)
