"""Runs: every search kept on this machine, one of them opened, capsules, and sweeps."""

from __future__ import annotations

import streamlit as st

from pages.runs import bring, deleted, one_run, shelf, sweeps
from pages.shared import frame, state

LEAD = (
    "Every search is kept on this machine from the moment it starts: find it again, go on with one that was "
    "interrupted, open it without its model, pass it on as one small file."
)
SHELVES = {"kept": "Kept", "deleted": "Deleted", "sweeps": "Sweeps"}


def show() -> None:
    view = state.current()
    frame.opening("Runs", LEAD)
    if view.run is not None:
        one_run.show(view.run, view)
        return
    state.show("shelf", view.shelf)
    st.segmented_control(
        "Shelf", list(SHELVES), format_func=SHELVES.__getitem__, required=True, label_visibility="collapsed",
        **state.bound("shelf", picked=()),
    )  # fmt: skip
    with st.container(key=f"shelf_{view.shelf}"):
        if view.shelf == "sweeps":
            sweeps.show(view)
        elif view.shelf == "deleted":
            deleted.show()
        else:
            shelf.show(view)
    if view.shelf == "kept":
        bring.show()


show()
