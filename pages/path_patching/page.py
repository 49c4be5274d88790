"""Path patching: a search step by step, as it happened or while it happens."""

from __future__ import annotations

import streamlit as st

from pages.path_patching import player, walk
from pages.shared import background, frame, head_card, state
from pages.shared.glossary import term
from pages.shared.work import result_of

LEAD = (
    f"How {term('path patching', 'the search')} found the circuit, one receiver at a time: it starts at the logits, "
    "asks which heads reach them, and then asks of every head found who feeds its query, its key and its value. Each "
    "step has an address of its own."
)


def show() -> None:
    view = state.current()
    settings = view.settings()
    frame.opening("Path patching", LEAD)
    getting_ready, search, steps, head = (st.container() for _ in range(4))
    with getting_ready:
        prepared = frame.ready(settings)
    if prepared is None:
        return
    with search:
        shown = walk.show(settings, prepared)
    with steps:
        if shown is not None:
            player.show(shown)
    with head:
        pruning = result_of(background.curve_job(settings))
        head_card.show(prepared, view, pruning, shown.found if shown is not None else None)


show()
