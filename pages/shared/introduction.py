"""What a page is for, in three short steps, on a person's first visit to it.

Whether it was read is remembered by the browser alone (localStorage), so no server keeps track of anyone.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2 import component

Steps = tuple[tuple[str, str], tuple[str, str], tuple[str, str]]

INTRODUCTIONS: dict[str, Steps] = {
    "explorer": (
        ("Choose", "A model and a task on the left. Step 1 shows whether the model can do it at all."),
        ("Drag", "The slider removes the heads with the lowest scores. The curve says how much the model loses."),
        ("Find", "Press Find the circuit. Then click any head or edge to see what it does."),
    ),
    "prompts": (
        ("Compare", "A clean prompt has the clue to its answer, the corrupted one lacks it. Marked tokens differ."),
        ("Check", "Is the model right, on every template? Are there enough pairs for steady numbers?"),
        ("Bring your own", "Paste or upload rows. What cannot work is told row by row, often with a repair."),
    ),
    "head_scores": (
        ("Look", "Two scores for every head, both without patching. Ringed heads are kept at this sparsity."),
        ("Contrast", "Far from the diagonal lie the heads on which the two scores disagree."),
        ("Click", "A cell, a point or a row opens the head’s card at the end of the page."),
    ),
    "pruning": (
        ("Follow the curves", "Heads go from left to right, lowest score first. A cliff means that one mattered."),
        ("Weigh the unions", "Three cliffs of each score make nine sets of heads, small or strong."),
        ("Carry on", "The smallest set that still performs is taken. Take another if you like."),
    ),
    "path_patching": (
        ("Start at the logits", "Step 1 asks which heads the answer depends on directly."),
        ("Go back", "Every head found is asked in turn: who feeds its query, its key, its value?"),
        ("Play", "Step through with the buttons. Each step has an address of its own."),
    ),
    "race": (
        ("Two searches", "One inside the pruned set of heads, one among all of them."),
        ("Turn by turn", "They share the machine fairly, and each clock counts only its own turns."),
        ("Read the bill", "Pruning included: which was cheaper, and what did the cheaper one miss?"),
    ),
    "circuit": (
        ("Filter", "By effect, input, sign or layer, until what matters is left."),
        ("Ask", "Click a head or an edge. Roles are measured from attention and output, never guessed."),
        ("Take it along", "As picture, table, graph or text, or bring in a circuit from a file."),
    ),
    "verification": (
        ("Choose what to judge", "The circuit found here, a published one, or one from a file."),
        ("See what it does alone", "Everything else is replaced. How much of the task is left?"),
        ("Doubt it", "Is every head needed? Would as many random ones do? Are its edges true, or only its heads?"),
    ),
    "compare": (
        ("Pick two runs", "Finished ones of this server, or files saved from it. What differs is marked."),
        ("See what they share", "Heads and edges of both, of one only, and whose ranks moved."),
        ("Or try every search", "Path patching, ACDC, EAP and EAP-IG on one task: size, truth and cost in one table."),
    ),
    "runs": (
        ("Find one again", "Every search is kept on this machine: filter, sort, name, tag."),
        ("Open it", "All it found, without loading the model. What was interrupted goes on."),
        ("Pass it on", "One file holds a whole run. Bring one, compare two, delete and take back."),
    ),
}

_panel = component(
    "headlight_introduction",
    html='<section aria-label="How this page works"></section>',
    css=Path(__file__).with_name("introduction.css").read_text("utf-8"),
    js=Path(__file__).with_name("introduction.js").read_text("utf-8"),
)
_AGAIN = "headlight_introductions_again"


def show(room: str) -> None:
    """Draw it, unless this browser has dismissed it."""
    steps = [{"title": title, "text": text} for title, text in INTRODUCTIONS[room]]
    data = {"room": room, "steps": steps, "again": st.session_state.get(_AGAIN, 0)}
    _panel(key="introduction", data=data, height="content")


def again_button() -> None:
    """Brings dismissed introductions back."""
    st.button("Show introductions", icon=":material/help:", type="tertiary", on_click=_again)


def _again() -> None:
    st.session_state[_AGAIN] = st.session_state.get(_AGAIN, 0) + 1
