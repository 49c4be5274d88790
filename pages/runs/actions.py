"""What can be done with the runs selected: open, go on, rename, tag, compare, delete and take that back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from engine.errors import HeadlightError
from engine.serving.limits import limits
from engine.store.store import RunStore
from engine.store.stored_run import RunState, StoredRun
from pages.runs import going_on
from pages.shared import look, rooms, runs, state
from pages.shared.background import background

DELETED, PROBLEM = "headlight_runs_deleted", "headlight_runs_problem"
MOST_NAME, MOST_TAG, MOST_TAGS = 120, 40, 20


def show(picked: Sequence[StoredRun]) -> None:
    """For one run all of it, for several what makes sense of several."""
    if not picked:
        return
    with st.container(border=True, key="picked_runs"):
        if len(picked) == 1:
            st.markdown(f"**{look.plain(runs.title_of(picked[0]))}**")
            one(picked[0], with_open=True)
        else:
            _several(picked)


def undo() -> None:
    """A line about what was deleted last, with the way back; and what could not be done."""
    if (problem := st.session_state.pop(PROBLEM, None)) is not None:
        st.error(look.plain(problem), icon=":material/error:")
    deleted: tuple[str, ...] = st.session_state.get(DELETED, ())
    if deleted:
        with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="undo_delete"):
            st.markdown(f"{look.count(len(deleted), 'run')} deleted.")
            st.button("Undo", key="undo", icon=":material/undo:", on_click=restore, args=(deleted,))
            st.button("Dismiss", key="undo_dismiss", type="tertiary", on_click=_dismiss)


def restore(names: Sequence[str]) -> None:
    if change(lambda store: [store.undelete(name) for name in names]):
        st.session_state[DELETED] = tuple(name for name in st.session_state.get(DELETED, ()) if name not in names)
        st.toast(f"{look.count(len(names), 'run')} restored.", icon=":material/undo:")


def delete(names: Sequence[str]) -> None:
    """A mark alone, so that it can be taken back."""
    if change(lambda store: [store.delete(name) for name in names]):
        st.session_state[DELETED] = tuple(names)
        state.change(picked=(), run=None)
        st.toast(f"{look.count(len(names), 'run')} deleted. They are under “Deleted”.", icon=":material/delete:")


def change(act: Callable[[RunStore], object]) -> bool:
    """Do something to the store; whether it worked. What did not is told at the top of the page."""
    kept = background().kept
    try:
        act(kept.store())
    except HeadlightError as error:
        st.session_state[PROBLEM] = str(error)
        return False
    finally:
        kept.changed()
    return True


def _dismiss() -> None:
    st.session_state.pop(DELETED, None)


def one(run: StoredRun, with_open: bool = False) -> None:
    """How it ended, its name and tags, and what can be done with it; a store only to be read changes in nothing."""
    going_on.tell(run)
    if limits().keeps:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            _name(run)
            _tags(run)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if with_open and going_on.is_readable(run):
            rooms.link("runs", "Open", run=run.id, head=None, edge=None)
        going_on.buttons(run)
        _delete([run])


def _show(key: str, stored: object) -> None:
    """What is stored, in its field. Written only where it differs: a value written while somebody types a tag takes
    the tag away, if the page is just being drawn for the name before it."""
    if st.session_state.get(key) != stored:
        st.session_state[key] = stored


def _name(run: StoredRun) -> None:
    key = f"name_{run.id}"
    _show(key, run.name)

    def store() -> None:
        text = " ".join(st.session_state[key].split())
        change(lambda store: store.rename(run.id, text))

    st.text_input(
        "Name", key=key, max_chars=MOST_NAME, width=360, placeholder=runs.title_of(run), on_change=store,
        help="Empty: it is called by what it searched.",
    )  # fmt: skip


def _tags(run: StoredRun) -> None:
    key = f"tags_{run.id}"
    _show(key, list(run.tags))
    known = sorted({tag for other in background().kept.listing().runs for tag in other.tags} | set(run.tags))

    def store() -> None:
        tags = tuple(dict.fromkeys(" ".join(tag.split())[:MOST_TAG] for tag in st.session_state[key] if tag.strip()))
        change(lambda store: store.tag(run.id, tags[:MOST_TAGS]))

    st.multiselect(
        "Tags", known, key=key, accept_new_options=True, placeholder="type one and press Enter", width=320,
        on_change=store,
    )  # fmt: skip


def _several(picked: Sequence[StoredRun]) -> None:
    st.markdown(f"**{look.count(len(picked), 'run')} selected**")
    readable = [run for run in picked if going_on.is_readable(run)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if len(readable) == 2 == len(picked):
            left, right = (run.id for run in readable)
            rooms.link("compare", "Compare the two", comparing="runs", left=left, right=right, head=None, edge=None)
        _delete([run for run in picked if run.state is not RunState.RUNNING])
    if len(picked) == 2 and len(readable) < 2:
        look.note("Only runs that have found something can be compared.")
    elif len(picked) > 2:
        look.note("Select two to compare them.")


def _delete(picked: Sequence[StoredRun]) -> None:
    names = [run.id for run in picked]
    if not names or not limits().keeps:
        return
    st.button(
        "Delete" if len(names) == 1 else f"Delete {len(names)}", key="delete_runs", icon=":material/delete:",
        on_click=delete, args=(names,), help="They go to “Deleted”, from where they can be restored.",
    )  # fmt: skip
