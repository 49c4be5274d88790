"""Prompts: the pairs token by token, whether there are enough of them, and the desk for pairs of one's own."""

from __future__ import annotations

import streamlit as st

from engine.prepare import Prepared
from pages.prompts import desk, enough, pairs, templates
from pages.shared import background, frame, head_card, search_jobs, state
from pages.shared.glossary import term
from pages.shared.view import View
from pages.shared.work import result_of

LEAD = (
    "Everything is measured on these: pairs of prompts of equal length in tokens, that differ only in what decides the "
    f"answer. Effects are changes between the two, e.g. the {term('effect')} of a path."
)
PARTS = {"pairs": "The task’s pairs", "own": "Your own task"}


def show() -> None:
    view = state.current()
    frame.opening("Prompts", LEAD)
    state.show("own", "own" if view.own else "pairs")
    st.segmented_control(
        "Show", list(PARTS), format_func=PARTS.__getitem__, required=True, label_visibility="collapsed",
        **state.bound("own", read=lambda part: part == "own"),
    )  # fmt: skip
    # What comes and goes while the model loads must not move, and so draw anew, what a person types below.
    waiting, below = st.container(), st.container(key="own_part" if view.own else "pairs_part")
    with waiting:
        prepared = frame.ready(view.settings())
    with below:
        if view.own:
            desk.show(view, background.background().shelf.at_hand(view.model), prepared)
        elif prepared is not None:
            _pairs(prepared, view)


def _pairs(prepared: Prepared, view: View) -> None:
    settings = view.settings()
    every, groups, sure, head = (st.container() for _ in range(4))
    with every:
        pairs.show(prepared, view)
    with groups:
        templates.show(prepared)
    with sure:
        enough.show(prepared, settings)
    with head:
        pruning = result_of(background.curve_job(settings))
        head_card.show(prepared, view, pruning, result_of(search_jobs.search_job(settings)))


show()
