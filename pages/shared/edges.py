"""One edge of a circuit: how it is named in the URL and what it says."""

from __future__ import annotations

from engine.circuit import LOGITS_NODE, Circuit, Edge
from engine.figures.edges import edge_text
from pages.shared import look


def name(sender: str, receiver: str, letter: str) -> str:
    """As in the URL: ``9.6-logits``, ``5.5-9.6.q``."""
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
