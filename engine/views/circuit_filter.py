"""Which part of a circuit a reader looks at: edges by size, input and sign, nodes by layer and reach.

1. Edges between nodes of the chosen layers, that pass size, input and sign; then the ``strongest`` of those.
2. If ``connected``, only what still reaches the logits along edges that are left.
3. A node is shown if it has an edge left, or never had one. Pinned heads are shown whatever the rest says.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.circuit import Circuit, Edge, Input
from engine.nodes import Node, heads_among, mlps_among


class Sign(StrEnum):
    """What patching an edge does to the metric; a head that helps the answer lowers it when patched."""

    BOTH = "both"
    LOWERS = "lowers"
    RAISES = "raises"


@dataclass(frozen=True)
class Filter:
    """``weakest``: smallest |effect|; ``layers``: first and last; ``strongest``: how many edges at most."""

    weakest: float = 0.0
    inputs: frozenset[Input] = frozenset(Input)
    sign: Sign = Sign.BOTH
    layers: tuple[int, int] | None = None
    connected: bool = False
    strongest: int | None = None
    pinned: frozenset[Node] = frozenset()


def filtered(circuit: Circuit, chosen: Filter) -> Circuit:
    """The nodes and edges to show, in the circuit's order."""
    edges = sorted(
        (edge for edge in circuit.edges if _passes(edge, chosen)), key=lambda edge: abs(edge.effect), reverse=True
    )[: chosen.strongest]
    if chosen.connected:
        reaching = _reaching_logits(edges)
        edges = [edge for edge in edges if edge.sender in reaching and (edge.receiver in {*reaching, None})]
    kept = set(edges)
    left = _touched(edges)
    lonely = set() if chosen.connected else set(circuit.nodes) - _touched(circuit.edges)
    nodes = (node for node in circuit.nodes if node in left or (node in lonely and _inside(node, chosen)))
    pinned = (node for node in circuit.nodes if node in chosen.pinned)
    shown = sorted({*nodes, *pinned})
    return replace(
        circuit,
        heads=heads_among(shown),
        mlps=mlps_among(shown),
        edges=tuple(edge for edge in circuit.edges if edge in kept),
    )


def neighbours(circuit: Circuit, head: Node) -> frozenset[Node]:
    """The nodes one edge away."""
    ends = ({edge.sender, edge.receiver} for edge in circuit.edges if head in (edge.sender, edge.receiver))
    return frozenset(end for pair in ends for end in pair if end is not None and end != head)


def _passes(edge: Edge, chosen: Filter) -> bool:
    fits = {Sign.BOTH: True, Sign.LOWERS: edge.effect < 0, Sign.RAISES: edge.effect > 0}[chosen.sign]
    ends = (edge.sender, edge.receiver)
    return (
        fits
        and abs(edge.effect) >= chosen.weakest
        and edge.input in chosen.inputs
        and all(end is None or _inside(end, chosen) for end in ends)
    )


def _inside(head: Node, chosen: Filter) -> bool:
    return chosen.layers is None or chosen.layers[0] <= head.layer <= chosen.layers[1]


def _touched(edges: list[Edge] | tuple[Edge, ...]) -> set[Node]:
    return {end for edge in edges for end in (edge.sender, edge.receiver) if end is not None}


def _reaching_logits(edges: list[Edge]) -> set[Node]:
    """Nodes from which some chain of edges leads to the logits."""
    senders: defaultdict[Node | None, list[Node]] = defaultdict(list)
    for edge in edges:
        senders[edge.receiver].append(edge.sender)
    reached: set[Node] = set()
    waiting: list[Node | None] = [None]
    while waiting:
        new = set(senders[waiting.pop()]) - reached
        reached |= new
        waiting += new
    return reached
