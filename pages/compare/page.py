"""Compare: two runs on one screen, or all searches of one task in one table."""

from __future__ import annotations

import streamlit as st

from pages.compare import bitwise, choice, contest, heads, numbers, scores
from pages.shared import background, frame, head_card, look, rooms, state
from pages.shared.view import View, data_fields
from pages.shared.work import result_of

LEAD = (
    "Two runs side by side: another task, another model, other settings, or inside a pruned set of heads against among "
    "all of them. Or every search algorithm on one task, in one table."
)
PARTS = {"runs": "Two runs", "searches": "Search algorithms"}


def show() -> None:
    view = state.current()
    frame.opening("Compare", LEAD)
    state.show("comparing", view.comparing)
    st.segmented_control(
        "Compare", list(PARTS), format_func=PARTS.__getitem__, required=True, label_visibility="collapsed",
        **state.bound("comparing"),
    )  # fmt: skip
    with st.container(key=f"compare_{view.comparing}"):
        if view.comparing == "searches":
            contest.show(view)
        else:
            _two_runs(view)


def _two_runs(view: View) -> None:
    background.follow(view.settings())
    slots = [st.container() for _ in range(6)]
    with slots[0]:
        pair = choice.show(view)
    if pair is None:
        return
    with slots[1]:
        numbers.show(pair)
    with slots[5]:
        bitwise.show(pair)
    if pair.left.summary.shape != pair.right.summary.shape:
        with slots[2]:
            _other_shape(pair)
        return
    with slots[2]:
        heads.show(pair, view)
    with slots[3]:
        scores.show(pair, view)
    with slots[4]:
        _card(pair, view)


def _other_shape(pair: choice.Pair) -> None:
    shapes = [" × ".join(map(str, run.summary.shape)) for run in (pair.left, pair.right)]
    look.step(None, "Heads", "Which heads both circuits have, and how their scores differ.")
    look.empty(
        "These heads cannot be matched",
        f"The left model has {shapes[0]} heads (layers × heads), the right one {shapes[1]}. The numbers above still "
        "compare.",
    )


def _card(pair: choice.Pair, view: View) -> None:
    """The head's card, if either run is of the prompts chosen on the left."""
    settings = view.settings()
    data = background.data_of(settings)
    here = [run for run in (pair.left, pair.right) if run.settings and background.data_of(run.settings) == data]
    if not here:
        look.step(None, "One head", head_card.LEAD)
        look.empty(
            "Neither run is of the model and prompts chosen",
            "A head’s card shows what is chosen in the menu at the side. Choose a run’s model, task, pairs and seed "
            "there, or with a link below.",
        )
        _links(pair)
        return
    prepared = frame.ready(settings)
    if prepared is not None:
        pruning = result_of(background.curve_job(settings))
        head_card.show(prepared, view, pruning, here[0].found)


def _links(pair: choice.Pair) -> None:
    """To this comparison with a run's model and prompts chosen."""
    for side, run in (("left", pair.left), ("right", pair.right)):
        if (settings := run.settings) is not None:
            sides = {"left": pair.left.id, "right": pair.right.id, "head": state.current().head}
            changes = data_fields(settings) | sides
            rooms.link("compare", f"Choose those of the {side} run", **changes)


show()
