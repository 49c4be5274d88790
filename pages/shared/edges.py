"""The edges of a circuit: how each is named in the URL and what it says, and which of them are drawn."""

from __future__ import annotations

import streamlit as st

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.figures.edges import edge_text
from engine.nodes import Mlp
from pages.shared import look, rooms, state
from pages.shared.view import INPUTS, View

RECEIPT_HELP = "What it does on fresh prompts, beside a control, and whether that bears out the circuit."


def name(sender: str, receiver: str, letter: str) -> str:
    """As in the URL: ``9.6-logits``, ``5.5-9.6.q``, ``5.5-m6.mlp``."""
    return f"{sender}-{receiver}" if receiver == LOGITS_NODE else f"{sender}-{receiver}.{letter}"


def name_of(edge: Edge) -> str:
    return name(str(edge.sender), LOGITS_NODE if edge.receiver is None else str(edge.receiver), edge.input.value)


def by_name(circuit: Circuit) -> dict[str, Edge]:
    """Strongest first."""
    return {name_of(edge): edge for edge in sorted(circuit.edges, key=lambda edge: -abs(edge.effect))}


def title(name: str, edge: Edge) -> str:
    """In a list to choose from."""
    return f"{name.replace('-', ' → ')}   ({look.signed(edge.effect, 3)})"


def tell(edge: Edge) -> None:
    """What an edge says, in a sentence."""
    plain = edge_text(edge).replace("<br>", ". ").replace("<b>", "").replace("</b>", "")
    look.note(f"{plain}. In units of clean − corrupted: −1 is as bad as the corrupted prompt.")


def receipt(edge: Edge) -> None:
    """The way to measure it again, on fresh prompts, if it is one between heads."""
    if not isinstance(edge.sender, Mlp) and not isinstance(edge.receiver, Mlp):
        rooms.link("verification", "Get a receipt", help=RECEIPT_HELP, edge=name_of(edge), receipt_of="edge")


def filters(circuit: Circuit, view: View) -> None:
    """The choices of which edges are drawn that every graph of a circuit has."""
    largest = max((abs(edge.effect) for edge in circuit.edges), default=0.0)
    if largest > 0:
        top = round(largest + 0.005, 2)
        state.show("weakest", min(view.weakest, top))
        st.slider(
            "Edges with |effect| of at least", 0.0, top, step=0.01, format="%.2f", width=240,
            help="1 would be the whole difference between clean and corrupted.",
            **state.bound("weakest", read=lambda value: round(value, 2)),
        )  # fmt: skip
    # An input that no run without MLPs as nodes has is not offered there, and stays as it was.
    offered = [entry for entry in INPUTS if entry != Input.MLP or circuit.mlps]
    state.show("inputs", [entry for entry in view.inputs if entry in offered])
    st.pills(
        "Edges into", offered, selection_mode="multi", wrap=True,
        **state.bound(
            "inputs",
            read=lambda chosen: tuple(
                entry for entry in INPUTS if entry in (chosen if entry in offered else state.current().inputs)
            ),
        ),
    )  # fmt: skip
