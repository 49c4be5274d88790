"""A search as it happened: its steps in order, each with what it added and what there was by then.

Receivers of one layer are measured together, so what a step says about cost (``SearchStep.spent``) holds for
``together``: all steps of its layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, groupby

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.nodes import Mlp, Node
from engine.search.path_patching import SearchStep, circuit_of


class Outcome(StrEnum):
    """How a step ended.

    kept        some sender exceeds the threshold of its layer
    below       the largest |effect| exceeds the smallest that counts, but no sender its layer's threshold
    negligible  no |effect| exceeds the smallest that counts, or none is among the strongest edges of an EAP: so there
                is no threshold
    unmeasured  no candidate lies below the receiver
    """

    KEPT = "kept"
    BELOW = "below"
    NEGLIGIBLE = "negligible"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, eq=False)
class Station:
    """One step on the way.

    ``number`` counts from 1; ``together`` are the numbers of the first and last step measured with this one.
    ``heads`` and ``edges`` count what had been found at its end, ``new_heads`` and ``new_edges`` are its own part;
    where MLPs are nodes, they are among the heads here.
    ``exact`` and ``estimated`` count the paths measured until here, each by its kind in the end.
    """

    number: int
    step: SearchStep
    heads: int
    edges: int
    new_heads: tuple[Node, ...]
    new_edges: tuple[Edge, ...]
    exact: int
    estimated: int
    together: tuple[int, int]

    @property
    def receiver(self) -> str:
        """``logits``, ``m9``, ``9.6.q``, or ``9.6+9.7.k`` where a KV head stands for several."""
        if self.step.input is Input.MLP:
            return str(self.step.receivers[0])
        heads = "+".join(map(str, self.step.receivers))
        return f"{heads}.{self.step.input.value}" if heads else LOGITS_NODE

    @property
    def measured(self) -> int:
        """Senders of this step."""
        return int((~self.step.effects.isnan()).sum())

    @property
    def guessed(self) -> int:
        """Of these, how many only by a first-order estimate."""
        return int(self.step.estimated.sum())

    @property
    def outcome(self) -> Outcome:
        if self.step.important:
            return Outcome.KEPT
        if not self.measured:
            return Outcome.UNMEASURED
        return Outcome.NEGLIGIBLE if self.step.thresholds.isinf().all() else Outcome.BELOW


def trail_of(steps: Sequence[SearchStep]) -> tuple[Station, ...]:
    """The way of a search; empty for no steps."""
    guessed = [int(step.estimated.sum()) for step in steps]
    measured = [int((~step.effects.isnan()).sum()) for step in steps]
    estimated, paths = list(accumulate(guessed)), list(accumulate(measured))
    stations: list[Station] = []
    known: set[Node] = set()
    edges = 0
    for at, (step, together) in enumerate(zip(steps, _together(steps), strict=True)):
        new = tuple(head for head in step.important if head not in known)
        added = tuple(step.edges)
        known.update(new)
        edges += len(added)
        stations.append(
            Station(
                at + 1, step, len(known), edges, new, added, paths[at] - estimated[at], estimated[at], together
            )
        )  # fmt: skip
    return tuple(stations)


def circuit_until(trail: Sequence[Station], number: int, n_layers: int, n_heads: int) -> Circuit:
    """What had been found at the end of step ``number`` of a search over ``n_layers`` x ``n_heads`` heads."""
    return circuit_of((edge for station in trail[:number] for edge in station.new_edges), n_layers, n_heads)


def searched_at(trail: Sequence[Station]) -> dict[Node, int]:
    """The number of the first step in which each head was a receiver, in the order of the search."""
    numbers: dict[Node, int] = {}
    for station in trail:
        for head in station.step.receivers:
            numbers.setdefault(head, station.number)
    return numbers


def _together(steps: Sequence[SearchStep]) -> list[tuple[int, int]]:
    """For each step the numbers of the first and last step of its layer; the logits and MLPs are alone."""
    spans, first = [], 1
    for _, group in groupby(steps, key=_measured_as):
        size = len(list(group))
        spans += [(first, first + size - 1)] * size
        first += size
    return spans


def _measured_as(step: SearchStep) -> tuple[int, bool] | None:
    """The same for steps that were measured together."""
    if not step.receivers:
        return None
    return step.receivers[0].layer, isinstance(step.receivers[0], Mlp)
