"""What is computed to run a model with some edges live, as numbered nodes: equal ones are one node.

1. A stream into layer l is a stream into layer l - 1 and the heads of that layer which its receiver hears.
   All other heads of the layer write their stand-in, so a stream is known by who was heard on the way.
2. A head's z is known by the streams its q, k and v are read from.
3. The final stream of a wiring is that of the logits.

Receivers that have heard the same so far share their stream up to there, and so do wirings that are run
together: two that differ in one edge differ only in what lies above it. A narrow stream is carried at the
end position alone, see engine/edges/wiring.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engine.circuit import Input
from engine.edges.wiring import Senders, Wiring, kv_receivers, reached
from engine.heads import Head
from engine.patching.receiver import LOGITS, Receiver

WIDE_ROOT, NARROW_ROOT = 0, 1  # token embeddings, at every position and at the last


class Stream(NamedTuple):
    """The stream into ``layer``; ``written`` are the z heard in the layer below it, ``parent`` the stream into that."""

    layer: int
    narrow: bool
    parent: int
    written: frozenset[int]


class HeadZ(NamedTuple):
    """z of ``head``, its q, k and v read from these streams."""

    head: Head
    q: int
    k: int
    v: int
    narrow: bool


Node = Stream | HeadZ


def layer_of_node(node: Node) -> int:
    """The layer in which it is read: its own for a head's z, for a stream the one it enters."""
    return node.layer if isinstance(node, Stream) else node.head.layer


class Nodes:
    """Gives every node a number, equal nodes the same."""

    def __init__(self, n_layers: int, group: int) -> None:
        self.n_layers, self.group = n_layers, group
        self._nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        self._whole: dict[Senders, dict[Head, int]] = {}
        for narrow in (False, True):
            self._number(Stream(0, narrow, -1, frozenset()))

    def __getitem__(self, number: int) -> Node:
        return self._nodes[number]

    def read_by(self, number: int) -> tuple[int, ...]:
        """What a node is computed from: nothing for token embeddings."""
        node = self._nodes[number]
        if isinstance(node, HeadZ):
            return (node.q, node.k, node.v)
        return (node.parent, *node.written) if node.layer else ()

    def behind(self, wanted: Iterable[int], known: Iterable[int] = ()) -> set[int]:
        """``wanted`` and all they are computed from, but for what is ``known`` and only that is computed from."""
        seen, known, waiting = set(), frozenset(known), list(wanted)
        while waiting:
            number = waiting.pop()
            if number not in seen and number not in known:
                seen.add(number)
                waiting += self.read_by(number)
        return seen

    def stream(self, z: Mapping[Head, int], senders: Senders, layer: int, narrow: bool) -> int:
        """The stream into ``layer`` of a receiver that hears ``senders``, whose ``z`` are these nodes."""
        number = NARROW_ROOT if narrow else WIDE_ROOT
        by_layer: dict[int, set[int]] = {}
        for sender in senders:
            by_layer.setdefault(sender.layer, set()).add(z[sender])
        for below in range(layer):
            written = frozenset(by_layer.get(below, ()))
            number = self._number(Stream(below + 1, narrow, number, written))
        return number

    def z(self, head: Head, q: int, k: int, v: int) -> int:
        query = self._nodes[q]
        assert isinstance(query, Stream)
        return self._number(HeadZ(head, q, k, v, query.narrow))

    def whole(self, heads: Senders) -> dict[Head, int]:
        """z of ``heads``, each hearing all of them below it, at every position."""
        if heads not in self._whole:
            known: dict[Head, int] = {}
            for layer in sorted({head.layer for head in heads}):
                below = frozenset(known)
                stream = self.stream(known, below, layer, narrow=False)
                known |= {head: self.z(head, stream, stream, stream) for head in heads if head.layer == layer}
            self._whole[heads] = known
        return dict(self._whole[heads])

    def _number(self, node: Node) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
        return self._numbers[node]


class Drawing:
    """One wiring's nodes."""

    def __init__(self, nodes: Nodes, wiring: Wiring) -> None:
        self.nodes, self.wiring = nodes, wiring
        self.reached = reached(wiring, nodes.group)
        self.z = nodes.whole(wiring.whole)
        for head in self.reached.heads:
            if head not in self.z:
                self.z[head] = nodes.z(head, *self.inputs(head))
        self.final = self.stream(LOGITS)

    def inputs(self, head: Head) -> tuple[int, int, int]:
        """The streams that q, k and v of ``head`` are read from."""
        key, value = kv_receivers(head, self.nodes.group)
        return self.stream(Receiver(Input.Q, head)), self.stream(key), self.stream(value)

    def stream(self, receiver: Receiver) -> int:
        """The stream that ``receiver`` reads."""
        layer = self.nodes.n_layers if receiver.head is None else receiver.head.layer
        return self.nodes.stream(self.z, self.wiring.heard_by(receiver), layer, self.is_narrow(receiver))

    def is_narrow(self, receiver: Receiver) -> bool:
        return receiver.head is None or (receiver.input is Input.Q and receiver.head not in self.reached.wide)
