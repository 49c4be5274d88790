"""A circuit: the heads (and MLPs) path patching found and the edges between them (METHOD section 2.7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import networkx as nx

from engine.errors import HeadlightError
from engine.heads import Head
from engine.nodes import Mlp, Node


class Input(StrEnum):
    """Where an edge enters its receiver: a head's query, key or value, an MLP, or the logits."""

    Q = "q"
    K = "k"
    V = "v"
    MLP = "mlp"
    LOGITS = "logits"


@dataclass(frozen=True)
class Edge:
    """One important (sender, receiver, input).

    ``receiver`` is None for the logits. ``effect`` is f, the change of the metric in units of
    (clean - corrupted): 0 nothing, -1 as bad as the corrupted prompt. ``shared`` marks an edge of
    a KV head that is listed for each query head of its group with the same effect.
    """

    sender: Node
    receiver: Node | None
    input: Input
    effect: float
    shared: bool = False


@dataclass(frozen=True)
class Circuit:
    """Heads (sorted) and edges of one search over a model with ``n_layers`` x ``n_heads`` heads.

    ``mlps`` (sorted) are nodes only in a run that asks for them (engine/patching/mlp_nodes.py); elsewhere MLPs are
    part of every path.
    """

    heads: tuple[Head, ...]
    edges: tuple[Edge, ...]
    n_layers: int
    n_heads: int
    mlps: tuple[Mlp, ...] = ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Heads and MLPs, in order."""
        return tuple(sorted((*self.heads, *self.mlps)))

    @property
    def sparsity(self) -> float:
        """Heads left out / all heads."""
        return 1 - len(self.heads) / (self.n_layers * self.n_heads)


def heads_of_edge(edge: Edge) -> tuple[Head, Head | None]:
    """Sender and receiver (None: the logits); raises HeadlightError for an edge of an MLP."""
    if isinstance(edge.sender, Mlp) or isinstance(edge.receiver, Mlp):
        raise HeadlightError(
            f"Expected an edge between heads, got {edge.sender} → {edge.receiver or LOGITS_NODE}. Take a circuit that "
            "was found without MLPs as nodes."
        )
    return edge.sender, edge.receiver


def check_heads_alone(circuit: Circuit, what: str) -> None:
    """Raise HeadlightError for a circuit that has MLPs as nodes, which ``what`` does not know."""
    if circuit.mlps:
        raise HeadlightError(
            f"{what} asks about heads with all MLPs live, and this circuit has MLPs as nodes "
            f"({', '.join(map(str, circuit.mlps[:4]))}{' …' if len(circuit.mlps) > 4 else ''}): its edges are other "
            "quantities. Search again without MLPs as nodes."
        )


def union(first: Circuit, second: Circuit) -> Circuit:
    """All nodes and edges of both; of an edge in both, the first's effect."""
    edges = {(edge.sender, edge.receiver, edge.input): edge for edge in (*second.edges, *first.edges)}
    heads = tuple(sorted({*first.heads, *second.heads}))
    mlps = tuple(sorted({*first.mlps, *second.mlps}))
    return Circuit(heads, tuple(edges.values()), first.n_layers, first.n_heads, mlps)


LOGITS_NODE = "logits"


def to_networkx(circuit: Circuit) -> nx.MultiDiGraph:
    """Nodes ``"9.6"`` (with layer, index), ``"m9"`` (index -1), ``"logits"``; one edge per Edge, keyed by its input."""
    graph = nx.MultiDiGraph()
    graph.add_node(LOGITS_NODE, layer=circuit.n_layers, index=0)
    for node in circuit.nodes:
        graph.add_node(str(node), layer=node.layer, index=node.index)
    for edge in circuit.edges:
        receiver = LOGITS_NODE if edge.receiver is None else str(edge.receiver)
        graph.add_edge(
            str(edge.sender), receiver, key=edge.input.value,
            input=edge.input.value, effect=edge.effect, shared=edge.shared,
        )
    return graph
