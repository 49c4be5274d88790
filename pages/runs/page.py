"""Runs: every search kept on this machine, one of them opened, capsules, and sweeps."""

from __future__ import annotations

import streamlit as st

from engine.serving.limits import limits
from pages.runs import bring, deleted, one_run, shelf, sweeps
from pages.shared import frame, state

LEAD = (
    "Every search is kept on this machine from the moment it starts: find it again, go on with one that was "
    "interrupted, open it without its model, pass it on as one small file."
)
DEMO_LEAD = (
    "The runs this demonstration has to show, opened without their models. What you search here is not kept: take it "
    "away from the page Circuit as one small file, which can be opened below."
)
SHELVES = {"kept": "Kept", "deleted": "Deleted", "sweeps": "Sweeps"}


def show() -> None:
    view = state.current()
    frame.opening("Runs", LEAD if limits().keeps else DEMO_LEAD)
    if view.run is not None:
        one_run.show(view.run, view)
        return
    shelves = [name for name in SHELVES if limits().keeps or name != "deleted"]
    on = view.shelf if view.shelf in shelves else "kept"
    state.show("shelf", on)
    st.segmented_control(
        "Shelf", shelves, format_func=SHELVES.__getitem__, required=True, label_visibility="collapsed",
        **state.bound("shelf", picked=()),
    )  # fmt: skip
    with st.container(key=f"shelf_{on}"):
        if on == "sweeps":
            sweeps.show(view)
        elif on == "deleted":
            deleted.show()
        else:
            shelf.show(view)
    if on == "kept":
        bring.show()


show()
