"""Runs from files: a capsule or a run as JSON, uploaded, or laid into the inbox of the machine this runs on.

A file is looked at in this tab alone until somebody keeps it. Paths are never taken from a page or a link: from the
server's own disk only what its keeper has put into the inbox can be opened, and nothing on a public demo.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from engine.errors import HeadlightError
from engine.serving.limits import limits
from engine.store.files import read_file
from engine.store.home import home
from pages.runs import actions, reading
from pages.runs.reading import Opened
from pages.shared import look, state

FILES, PROBLEM = "headlight_brought_runs", "headlight_brought_problem"
MOST_BYTES = 20_000_000
ENDINGS = ("headlight", "json")
INBOX, MOST_LISTED = "inbox", 100
LEAD = (
    "Somebody’s capsule (.headlight), or a whole run as JSON. It is looked at in this tab alone{}; nothing in it is "
    "run, and no model is loaded."
)


@dataclass(frozen=True)
class BroughtFile:
    id: str
    name: str
    content: bytes


def files() -> dict[str, BroughtFile]:
    """By id, those of this tab."""
    return st.session_state.get(FILES, {})


def show() -> None:
    look.step(None, "Open a run from a file", LEAD.format(" until you keep it" if limits().keeps else ""))
    st.file_uploader(
        f"A file of at most {MOST_BYTES // 1_000_000} MB", type=list(ENDINGS), key="capsule_upload",
        max_upload_size=MOST_BYTES // 1_000_000, on_change=_uploaded,
    )  # fmt: skip
    _inbox()
    if (problem := st.session_state.get(PROBLEM)) is not None:
        st.error(look.plain(problem), icon=":material/error:")


def keep_it(file: BroughtFile, read: Opened) -> None:
    """The way from a file of this tab to a run of this machine."""

    def keep() -> None:
        kept: list[str] = []
        if actions.change(lambda store: kept.append(reading.keep(store, read, Path(file.name).stem))):
            state.change(run=kept[0])
            st.toast("Kept in your runs.", icon=":material/inventory_2:")

    if not limits().keeps:
        look.verdict("From a file.", "It is open in this tab alone, and gone with it.", "wait")
        return
    look.verdict("From a file.", "It is open in this tab alone, and gone with it unless you keep it.", "wait")
    st.button("Keep in my runs", key="keep_brought", type="primary", icon=":material/save:", on_click=keep)


def _uploaded() -> None:
    upload = st.session_state["capsule_upload"]
    if upload is not None:
        _open(upload.name, upload.getvalue())


def _open(name: str, content: bytes) -> None:
    """Look at it; what is wrong with it is told there."""
    st.session_state.pop(PROBLEM, None)
    shown = "".join(letter for letter in name if letter.isprintable())[:80]
    file = BroughtFile(reading.id_of(content), shown, content)
    st.session_state[FILES] = {**files(), file.id: file}
    state.change(run=file.id, head=None, edge=None)


def inbox_files(folder: Path) -> Sequence[str]:
    """The files that can be opened, by name; links are none."""
    if not folder.is_dir() or folder.is_symlink():
        return ()
    names = (each.name for each in os.scandir(folder) if each.is_file(follow_symlinks=False))
    return sorted(name for name in names if name.rpartition(".")[2] in ENDINGS)[:MOST_LISTED]


def _inbox() -> None:
    if limits().demo:
        return
    folder = home() / INBOX
    names = inbox_files(folder)
    if not names:
        look.note(f"Or lay files into {folder}: they can be opened from here.")
        return
    st.selectbox(
        f"Or one from {folder}", names, index=None, key="inbox_file", placeholder="choose a file",
        on_change=lambda: _from_inbox(folder),
    )  # fmt: skip


def _from_inbox(folder: Path) -> None:
    name = st.session_state["inbox_file"]
    if name not in inbox_files(folder):  # a name from the list, never a path
        return
    try:
        if (folder / name).stat().st_size > MOST_BYTES:
            raise HeadlightError(f"The file has more than {MOST_BYTES // 1_000_000} MB, which no run has.")
        _open(name, read_file(folder / name))
    except (OSError, HeadlightError) as error:
        st.session_state[PROBLEM] = f"{name}: {error}"
