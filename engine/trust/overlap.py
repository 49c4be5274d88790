"""What two circuits of one model, or two lists of heads, have in common: heads, and edges (sender, receiver, input)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.circuit import Circuit, Edge
from engine.heads import Head
from engine.nodes import Node

Member = TypeVar("Member", bound=Hashable)
EdgeName = tuple[Node, Node | None, str]


@dataclass(frozen=True)
class Overlap(Generic[Member]):
    """Members of both, and of one alone, in the order given. A share of nothing is NaN."""

    common: tuple[Member, ...]
    only_first: tuple[Member, ...]
    only_second: tuple[Member, ...]

    @property
    def precision(self) -> float:
        """Of the first, the share that the second has too."""
        return _share(len(self.common), len(self.common) + len(self.only_first))

    @property
    def recall(self) -> float:
        """Of the second, the share that the first has too."""
        return _share(len(self.common), len(self.common) + len(self.only_second))

    @property
    def jaccard(self) -> float:
        """Of all, the share in both."""
        return _share(len(self.common), len(self.common) + len(self.only_first) + len(self.only_second))


def node_overlap(first: Circuit, second: Circuit) -> Overlap[Node]:
    """Heads, and MLPs where they are nodes."""
    return overlap(first.nodes, second.nodes)


def head_overlap(first: Circuit, second: Circuit) -> Overlap[Head]:
    return overlap(first.heads, second.heads)


def edge_overlap(first: Circuit, second: Circuit) -> Overlap[EdgeName]:
    """Edges are the same if they lead the same way, whatever their effects."""
    return overlap(map(name_of, first.edges), map(name_of, second.edges))


def name_of(edge: Edge) -> EdgeName:
    """Sender, receiver (None: the logits), input."""
    return edge.sender, edge.receiver, edge.input.value


def edges_by_name(circuit: Circuit) -> dict[EdgeName, Edge]:
    return {name_of(edge): edge for edge in circuit.edges}


def overlap(first: Iterable[Member], second: Iterable[Member]) -> Overlap[Member]:
    one, other = dict.fromkeys(first), dict.fromkeys(second)
    return Overlap(
        common=tuple(member for member in one if member in other),
        only_first=tuple(member for member in one if member not in other),
        only_second=tuple(member for member in other if member not in one),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
