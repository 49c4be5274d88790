"""Race: dense path patching against APP, side by side on the same prompts."""

from __future__ import annotations

import streamlit as st

from engine.prepare import Prepared
from pages.race import before, result, running
from pages.race.contestants import Lane, contestants, lanes_of
from pages.shared import background, frame, head_card, state
from pages.shared.glossary import term
from pages.shared.work import result_of

LEAD = (
    f"Dense {term('path patching')} tries every head as a sender; APP prunes first and searches among the heads left. "
    "Is that cheaper, pruning included, and does it find the same? Both run here by turns, a quarter of a second each, "
    "and each clock counts its own turns alone."
)


def show() -> None:
    view = state.current()
    frame.opening("Race", LEAD)
    prepared = frame.ready(view.settings())
    if prepared is None:
        return
    course, outcome, head = (st.container() for _ in range(3))
    lanes = lanes_of(contestants(view))
    with course:
        _course(prepared, lanes)
    with outcome:
        if not any(lane.live for lane in lanes):
            result.show(prepared, lanes)
    with head:
        pruning = result_of(background.curve_job(view.settings()))
        head_card.show(prepared, view, pruning, lanes[0].found or lanes[1].found)


def _course(prepared: Prepared, lanes: tuple[Lane, Lane]) -> None:
    if any(lane.live for lane in lanes):
        running.show(prepared, lanes)
    elif not all(lane.done for lane in lanes):
        before.show(prepared, lanes)


show()
