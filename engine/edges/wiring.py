"""A set of edges as what each receiver hears (METHOD section 2.7's node set).

1. Receivers are the logits and a head's q, k and v; k and v belong to the KV head, named by the first query
   head of its group, and hear the union of the edges listed for the heads of that group.
2. The heads that matter are found from the logits down: who sends to them, who sends to those heads' inputs.
3. Of a head heard at the end position alone only that position's q matters: it is heard so if all who hear
   it are the logits, or q's of such heads. k and v are read from every position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.circuit import Edge, Input, heads_of_edge
from engine.errors import HeadlightError
from engine.heads import Head, check_head
from engine.models.shape import Shape
from engine.patching.receiver import LOGITS, Receiver

Senders = frozenset[Head]
NOBODY: Senders = frozenset()


@dataclass(frozen=True)
class Wiring:
    """``senders`` of each receiver that hears any.

    Heads of ``whole`` hear every head of ``whole`` below them, by q, k and v, whatever ``senders`` say.
    """

    senders: Mapping[Receiver, Senders]
    whole: Senders = field(default=NOBODY)

    def heard_by(self, receiver: Receiver) -> Senders:
        return self.senders.get(receiver, NOBODY)

    def hearing(self, receiver: Receiver, senders: Senders) -> Wiring:
        """The same with ``receiver`` hearing exactly ``senders``."""
        return Wiring({**self.senders, receiver: senders}, self.whole)


@dataclass(frozen=True)
class Reached:
    """Heads with a path to the logits; ``wide`` are those of them heard at every position."""

    heads: tuple[Head, ...]  # sorted
    wide: Senders


def kv_receivers(head: Head, group: int) -> tuple[Receiver, Receiver]:
    """The k and v that ``head`` shares with its group."""
    first = Head(head.layer, head.index // group * group)
    return Receiver(Input.K, first), Receiver(Input.V, first)


def receiver_of(edge: Edge, group: int) -> Receiver:
    """Where an edge ends, a KV head named by the first query head of its ``group``."""
    receiver = heads_of_edge(edge)[1]
    if receiver is None:
        return LOGITS
    if edge.input is Input.Q:
        return Receiver(Input.Q, receiver)
    key, value = kv_receivers(receiver, group)
    return key if edge.input is Input.K else value


def wiring_of(edges: Iterable[Edge], shape: Shape) -> Wiring:
    """What each receiver hears along ``edges``; raises HeadlightError for an edge the model cannot have."""
    senders: dict[Receiver, Senders] = {}
    for edge in edges:
        _check(edge, shape)
        receiver = receiver_of(edge, shape.n_heads // shape.n_kv_heads)
        senders[receiver] = senders.get(receiver, NOBODY) | {heads_of_edge(edge)[0]}
    return Wiring(senders)


def all_edges(heads: Iterable[Head]) -> tuple[Edge, ...]:
    """Every edge there can be among ``heads``, and from each of them to the logits; effects not measured."""
    among, nothing = sorted(heads), float("nan")
    inner = [
        Edge(sender, receiver, letter, nothing)
        for sender in among
        for receiver in among
        if sender.layer < receiver.layer
        for letter in (Input.Q, Input.K, Input.V)
    ]
    return (*inner, *(Edge(sender, None, Input.LOGITS, nothing) for sender in among))


def reached(wiring: Wiring, group: int) -> Reached:
    """The heads outside ``wiring.whole`` that matter are told apart by width; those of ``whole`` count as wide."""
    heads: set[Head] = set(wiring.heard_by(LOGITS))
    wide: set[Head] = set()
    layers = sorted({head.layer for senders in wiring.senders.values() for head in senders}, reverse=True)
    for layer in layers:
        for head in [head for head in heads if head.layer == layer and head not in wiring.whole]:
            asking = wiring.heard_by(Receiver(Input.Q, head))
            everywhere = NOBODY.union(*(wiring.heard_by(receiver) for receiver in kv_receivers(head, group)))
            heads |= asking | everywhere
            wide |= everywhere | (asking if head in wide else NOBODY)
    return Reached(tuple(sorted(heads)), frozenset(wide | (heads & wiring.whole)))


def _check(edge: Edge, shape: Shape) -> None:
    for head in heads_of_edge(edge):
        if head is not None:
            check_head(head, shape.n_layers, shape.n_heads)
    if (edge.receiver is None) != (edge.input is Input.LOGITS):
        raise HeadlightError(
            f"Expected an edge to the logits or to the q, k or v of a head, got {edge.input} of {edge.receiver}."
        )
    if edge.receiver is not None and edge.sender.layer >= edge.receiver.layer:
        raise HeadlightError(
            f"Expected a sender below its receiver, got an edge from {edge.sender} to {edge.receiver}: heads of its "
            "own layer and of those above do not reach it. Take the edge out of the circuit."
        )
