"""Head scores: both maps, their ranks against each other, a list of all heads, and the card of one."""

from __future__ import annotations

import streamlit as st

from pages.head_scores import agreement, head_list, maps
from pages.shared import curves, frame, further_scores, head_card, search_jobs, state
from pages.shared.glossary import term
from pages.shared.work import result_of

LEAD = (
    f"Two scores that need no patching. {term('FLAP')} asks how much a head’s output varies; {term('C-FLAP')} how much "
    "it changes between clean and corrupted prompts. Where do they agree, and which heads does only one of them see?"
)


def show() -> None:
    view = state.current()
    settings = view.settings()
    frame.opening("Head scores", LEAD)
    prepared = frame.ready(settings)
    if prepared is None:
        return
    prepared = further_scores.measured(prepared, settings, view.mask_score)
    scores, ranks, table, card = (st.container() for _ in range(4))
    with scores:
        maps.show(prepared, view, settings)
    with ranks:
        agreement.show(prepared, view)
    with table:
        head_list.show(prepared, view)
    with card:
        measured = curves.measure(settings, with_band=False)  # the card says which list of the union admits a head
        curves.progress(settings, measured)
        found = result_of(search_jobs.search_job(settings))
        head_card.show(prepared, view, measured.pruning, found)


show()
