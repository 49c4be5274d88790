"""Completeness and minimality: what is left without the circuit, and what each of its heads adds."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import streamlit as st

from engine.evaluation.completeness import Completeness
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.minimality import Minimality, Standing
from engine.figures.contributions import MOST, contribution_rows, contributions_figure, in_shares, member_name
from engine.figures.export import figure_html, rows_csv
from engine.heads import Head
from pages.shared import look, state
from pages.shared.chart import chart, drawn, is_dark
from pages.verification import numbers

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEAD = (
    "The circuit is knocked out and all other heads stay: a complete circuit leaves no more than no head at all would. "
    "Then each head is taken out of the circuit alone: one that adds nothing is not needed there."
)
COMPLETE = 0.05  # of faithfulness, that may be left over


def show(found: Evaluation) -> None:
    look.step(None, "Is anything missing, and is every head needed?", LEAD)
    if found.empty:
        look.empty("Nothing to take out", "An empty circuit has no head to be needed.")
        return
    _completeness(found.completeness)
    st.markdown("##### What each head adds")
    contributions(found.heads, "heads", "head", numbers.identity(found))
    look.note(numbers.measured_on(found))


def _completeness(found: Completeness) -> None:
    look.verdict(*_complete(found))
    look.facts(
        [
            numbers.fact("Left without the circuit", found.left, 2, "", "faithfulness, its heads knocked out"),
            numbers.fact("Left without any head", found.floor, 2, "", "faithfulness, all heads knocked out"),
            numbers.fact("More than without any", found.excess, 2, "", "0 is a complete circuit", signed=True),
        ]
    )


def _complete(found: Completeness) -> tuple[str, str, str]:
    """Headline, text and kind."""
    excess = found.excess
    if not excess.defined:
        return "This cannot be told.", found.note, "wait"
    if not excess.known:
        return "How sure this is cannot be told.", found.words, "wait"
    if excess.low > COMPLETE:
        return "Not complete.", "Heads outside the circuit do part of the task without it.", "wait"
    if excess.high > COMPLETE:
        return "Not known to be complete.", "These pairs leave it open whether other heads do part of the task.", "wait"
    return "Complete.", "Without the circuit nothing of the task is left that is not left without any head.", "yes"


def contributions(found: Minimality[Any], name: str, noun: str, identity: Hashable) -> None:
    """The bars, who is not needed, and their table; ``name`` makes the keys, ``identity`` says of which circuit."""
    if found.note and not in_shares(found):
        look.note("Shares are undefined here, so the bars are changes of the metric itself.")
    dark, total = is_dark(), len(found.contributions)
    figure = drawn(_figure, found, dark)
    chart(
        figure, f"contributions_{name}", f"What each of {look.count(total, noun)} adds to the circuit, with intervals",
        identity=identity, on_click=_choose,
    )  # fmt: skip
    shown = f"Shown: the {MOST} largest of {total}. " if total > MOST else ""
    look.note(
        f"{shown}Signed; an interval counts as beyond noise from {found.noise:g} of faithfulness on. "
        f"{noun.capitalize()}s that stand in for each other can each look needless alone. Click a bar to choose the "
        f"{noun}, here and on the other pages."
    )
    for standing, words in _WORDS.items():
        if members := found.standing(standing):
            chips = "".join(f"<span>{member_name(member)}</span>" for member in members)
            look.note(f"{look.count(len(members), noun)} {words}.")
            st.html(f'<div class="hl-heads">{chips}</div>')
    _twin(found, figure, name, noun, dark)


_WORDS = {
    Standing.NOISE: "inside the noise: the circuit would be as true without any one of them",
    Standing.AGAINST: "against the answer: the circuit would be more faithful without",
}


def _figure(found: Minimality[Any], dark: bool) -> Figure:
    return contributions_figure(found, dark)


def _choose(data: list[Any]) -> None:
    """A head ``[layer, index]``, or an edge ``[sender, receiver, input]``."""
    if isinstance(data[0], str):
        sender, receiver, letter = data
        state.change(edge=f"{sender}-{receiver}" if letter == "logits" else f"{sender}-{receiver}.{letter}")
    else:
        state.change(head=str(Head(int(data[0]), int(data[1]))))


def _twin(found: Minimality[Any], figure: Figure, name: str, noun: str, dark: bool) -> None:
    with st.expander(f"Every {noun} as a table, and downloads", key=f"twin_{name}"):
        rows = contribution_rows(found)
        st.dataframe(rows, hide_index=True, height=min(320, 38 + 35 * max(1, len(rows))))
        with st.container(horizontal=True):
            look.download(f"{noun.capitalize()}s as CSV", lambda: rows_csv(rows), f"minimality-{name}.csv", "text/csv")
            look.download(
                "Bars as HTML", lambda: figure_html(figure, f"What each {noun} adds", dark), f"minimality-{name}.html",
                "text/html",
            )  # fmt: skip
