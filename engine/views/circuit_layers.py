"""A crowded circuit seen from further off: the heads of a layer as one bundle, their edges as flows.

1. Every layer is a bundle, except layers that are opened, heads that stand apart, and bundles of one. An MLP is
   never in a bundle.
2. Edges with the same ends and input become one flow: the signed sum of their effects, the sum and the largest
   of their |effect|. Edges between two single heads stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from engine.circuit import Circuit, Edge, Input
from engine.heads import Head
from engine.nodes import Mlp, depth_of

CROWDED_HEADS = 60
CROWDED_EDGES = 250


@dataclass(frozen=True)
class Bundle:
    """Heads of one layer drawn as one node."""

    layer: int
    heads: tuple[Head, ...]


Node = Head | Mlp | Bundle


@dataclass(frozen=True)
class Flow:
    """Edges with the same ends and input; ``receiver`` is None for the logits."""

    sender: Node
    receiver: Node | None
    input: Input
    effect: float  # signed sum
    strength: float  # sum of |effect|
    strongest: float  # largest |effect|
    count: int


@dataclass(frozen=True)
class Overview:
    """Nodes in layer order, and the links between them."""

    nodes: tuple[Node, ...]
    links: tuple[Edge | Flow, ...]


def is_crowded(circuit: Circuit) -> bool:
    """Whether drawing every head would be a tangle."""
    return len(circuit.nodes) > CROWDED_HEADS or len(circuit.edges) > CROWDED_EDGES


def every_head(circuit: Circuit) -> Overview:
    """Nothing bundled. Edges whose ends are not in the circuit (yet) are left out."""
    nodes = set(circuit.nodes)
    edges = (
        edge for edge in circuit.edges if edge.sender in nodes and (edge.receiver is None or edge.receiver in nodes)
    )
    return Overview(circuit.nodes, tuple(edges))


def by_layer(circuit: Circuit, opened: Collection[int] = (), apart: Collection[Head] = ()) -> Overview:
    """Bundles and flows; layers in ``opened`` show their heads, heads in ``apart`` are never bundled."""
    together: defaultdict[int, list[Head]] = defaultdict(list)
    for head in circuit.heads:
        if head.layer not in opened and head not in apart:
            together[head.layer].append(head)
    node_of: dict[Head | Mlp, Node] = {node: node for node in circuit.nodes}
    for layer, heads in together.items():
        if len(heads) > 1:
            node_of |= dict.fromkeys(heads, Bundle(layer, tuple(heads)))
    groups: defaultdict[tuple[Node, Node | None, Input], list[Edge]] = defaultdict(list)
    for edge in every_head(circuit).links:
        assert isinstance(edge, Edge)
        receiver = None if edge.receiver is None else node_of[edge.receiver]
        groups[node_of[edge.sender], receiver, edge.input].append(edge)
    links = tuple(_link(*ends, edges) for ends, edges in groups.items())
    return Overview(tuple(dict.fromkeys(node_of[node] for node in circuit.nodes)), links)


def strength(link: Edge | Flow) -> float:
    """How wide a link is drawn: |effect|, summed in a flow."""
    return link.strength if isinstance(link, Flow) else abs(link.effect)


def layer_of(node: Node) -> int:
    return node.layer


def row_of(node: Node) -> float:
    """Nodes of one row have the same; higher rows have more. A layer's MLP is above its heads, which send to it."""
    return node.layer if isinstance(node, Bundle) else depth_of(node)


def _link(sender: Node, receiver: Node | None, entry: Input, edges: list[Edge]) -> Edge | Flow:
    if not isinstance(sender, Bundle) and not isinstance(receiver, Bundle):
        return edges[0]
    sizes = [abs(edge.effect) for edge in edges]
    return Flow(sender, receiver, entry, sum(edge.effect for edge in edges), sum(sizes), max(sizes), len(edges))
