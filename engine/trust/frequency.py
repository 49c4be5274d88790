"""How often heads and edges are found when a circuit is searched for again: counted, pure.

1. Frequency = runs that found it / runs. One run alone judges nothing: all of it is NaN then.
2. A head found in between a quarter and three quarters of the runs is a coin flip: whether it is in a circuit says
   as much about the draw as about the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.circuit import Circuit
from engine.heads import Head
from engine.trust.overlap import EdgeName, name_of

COIN_FLIP = (0.25, 0.75)
NAN = float("nan")


@dataclass(frozen=True)
class Frequency:
    """Of ``n`` runs. ``head_counts`` and ``edge_counts``: runs that found each, the most often found first."""

    n: int
    head_counts: Mapping[Head, int]
    edge_counts: Mapping[EdgeName, int]
    sizes: tuple[int, ...]  # heads of each run's circuit

    @property
    def judged(self) -> bool:
        """Whether there are runs enough to speak of a frequency."""
        return self.n > 1

    def head(self, head: Head) -> float:
        """0 for a head never found; NaN if nothing can be judged."""
        return self.head_counts.get(head, 0) / self.n if self.judged else NAN

    def edge(self, name: EdgeName) -> float:
        return self.edge_counts.get(name, 0) / self.n if self.judged else NAN

    @property
    def heads(self) -> dict[Head, float]:
        """Of every head ever found."""
        return {head: self.head(head) for head in self.head_counts}

    @property
    def edges(self) -> dict[EdgeName, float]:
        """Of every edge ever found."""
        return {name: self.edge(name) for name in self.edge_counts}

    @property
    def coin_flips(self) -> tuple[Head, ...]:
        """Heads found about as often as not, in layer order."""
        low, high = COIN_FLIP
        return tuple(sorted(head for head, frequency in self.heads.items() if low <= frequency <= high))

    def present(self, least: float) -> tuple[Head, ...]:
        """Heads found in at least this share of the runs, in layer order."""
        return tuple(sorted(head for head, frequency in self.heads.items() if frequency >= least))


def frequency(circuits: Sequence[Circuit]) -> Frequency:
    """Of the circuits of several runs of one model."""
    heads = Counter(head for circuit in circuits for head in circuit.heads)
    # A circuit lists an edge once; a file may not.
    edges = Counter(name for circuit in circuits for name in {name_of(edge) for edge in circuit.edges})
    return Frequency(
        n=len(circuits),
        head_counts=dict(sorted(heads.items(), key=lambda item: (-item[1], item[0]))),
        edge_counts=dict(sorted(edges.items(), key=lambda item: (-item[1], _place(item[0])))),
        sizes=tuple(len(circuit.heads) for circuit in circuits),
    )


@dataclass(frozen=True)
class CircuitFrequency:
    """How often each head and edge of one circuit was found in ``n`` runs; NaN if nothing can be judged."""

    heads: Mapping[Head, float]
    edges: Mapping[EdgeName, float]
    n: int


def frequency_in(circuit: Circuit, found: Frequency) -> CircuitFrequency:
    """Of the heads and edges of ``circuit``: 0 for one that no run found."""
    names = [name_of(edge) for edge in circuit.edges]
    return CircuitFrequency(
        {head: found.head(head) for head in circuit.heads}, {name: found.edge(name) for name in names}, found.n
    )


def _place(name: EdgeName) -> tuple:
    sender, receiver, letter = name
    return sender, receiver is None, receiver or sender, letter
