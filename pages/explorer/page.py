"""Explorer: one flow from "does the model do the task?" to the card of a single head."""

from __future__ import annotations

import streamlit as st

from pages.explorer import circuit_view, find_circuit, head_scores, task_check
from pages.shared import frame, further_scores, head_card, state


def show() -> None:
    view = state.current()
    settings = view.settings()
    frame.link_problems()
    # Each step has a container of its own: what appears in one never moves, or doubles, what stands in the next.
    task, scores, search, circuit, head = (st.container() for _ in range(5))
    with task:
        prepared = task_check.show(settings)
    if prepared is None:
        return
    prepared = further_scores.measured(prepared, settings, view.mask_score)
    with scores:
        curves = head_scores.show(prepared, view, settings)
    with search:
        discovery = find_circuit.show(prepared, view, settings, curves.pruning)
    with circuit:
        circuit_view.show(prepared, view, discovery)
    with head:
        head_card.show(prepared, view, curves.pruning, discovery, number=5)


show()
