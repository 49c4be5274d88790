"""Explorer: one flow from "does the model do the task?" to the card of a single head."""

from __future__ import annotations

import streamlit as st

from pages.explorer import circuit_view, find_circuit, head_card, head_scores, task_check
from pages.shared import background, look, state


def show() -> None:
    view = state.current()
    for problem in state.link_problems():
        st.warning(look.plain(problem), icon=":material/link_off:")
    settings = view.settings()
    background.follow(settings)
    prepared = task_check.show(settings)
    if prepared is None:
        return
    curves = head_scores.show(prepared, view, settings)
    discovery = find_circuit.show(prepared, view, settings, curves.pruning)
    circuit_view.show(prepared, view, discovery)
    head_card.show(prepared, view, curves.pruning, discovery)


show()
