"""Pruning: how performance falls as heads go, where the cliffs are, and which union of masks to search in."""

from __future__ import annotations

import streamlit as st

from pages.pruning import curve_view, union_heads, unions
from pages.shared import curves, frame, head_card, search_jobs, state
from pages.shared.glossary import term
from pages.shared.work import result_of

LEAD = (
    f"Heads with low scores are removed by {term('mean ablation')}, more and more of them. Just before "
    f"{term('performance')} falls lie the {term('cliff', 'cliff points')}; the {term('union', 'unions')} of what both "
    "scores keep there are where the search may look."
)


def show() -> None:
    view = state.current()
    settings = view.settings()
    frame.opening("Pruning", LEAD)
    prepared = frame.ready(settings)
    if prepared is None:
        return
    curve, choice, heads, card = (st.container() for _ in range(4))
    measured = curves.measure(settings)
    with curve:
        curve_view.show(prepared, view, settings, measured)
    if measured.pruning is not None:
        with choice:
            unions.show(prepared, view, measured.pruning)
        with heads:
            union_heads.show(prepared, view, measured.pruning)
    with card:
        found = result_of(search_jobs.search_job(settings))
        head_card.show(prepared, view, measured.pruning, found)


show()
