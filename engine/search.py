"""From effects to a circuit: the threshold rule and the walk back from the logits (METHOD section 2.7).

1. Measure every candidate sender's effect on the logits; the important ones join the circuit.
2. From the last layer down: measure the senders of each circuit head's q, k and v; important ones
   join. Senders lie below their receiver, so all heads of a layer are known when it is reached, and
   the result is that of the paper's queue.
3. k and v belong to a KV head. It is measured once for its group and its edges are listed for every
   query head of the group in the circuit.

The search sees effects only through a callable: fast, reference or made up for a test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.circuit import Circuit, Edge, Input
from engine.errors import Cancelled
from engine.heads import Head, heads_of
from engine.patching.receiver import LOGITS, Receiver
from engine.progress import Watcher

# The published code does not let the grid change the first step's scale.
LOGITS_THRESHOLD_SCALE = 2.0
STAGE = "path patching"

# (receiver, called with the share done) -> f [layer head], NaN where not measured
Measure = Callable[[Receiver, Callable[[float], None]], Tensor]


@dataclass(frozen=True)
class Thresholds:
    """``scale``: s, in standard deviations of the effects. ``min_effect``: |f| below which nothing counts."""

    scale: float
    min_effect: float


@dataclass(frozen=True, eq=False)
class SearchStep:
    """One receiver searched: who was measured and who was important.

    ``receivers`` are the circuit heads it stands for: none for the logits, several for a shared k or
    v. ``thresholds [layer]`` is the smallest |f| that counts for a sender of that layer, infinite
    where no sender can.
    """

    receivers: tuple[Head, ...]
    input: Input
    effects: Tensor  # [layer head], NaN = not measured
    thresholds: Tensor
    important: tuple[Head, ...]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """``complete`` is False when cancelled: the circuit is what had been found by then."""

    circuit: Circuit
    steps: tuple[SearchStep, ...]
    complete: bool


def layer_thresholds(effects: Tensor, top: int, thresholds: Thresholds) -> Tensor:
    """Smallest |f| of an important sender, by its layer: ``[layer]``, infinite where none can be.

    ``effects [layer head]``; only the layers below ``top`` are the matrix M of the rule, in which heads
    not measured count as 0:  |M_lh| > |mean M| + (s + 2 / sqrt(n_l)) · std M,  n_l entries in layers 0…l.
    """
    below = effects[:top].nan_to_num().double()
    limit = torch.full((effects.shape[0],), math.inf, dtype=torch.float64)
    if not below.numel() or below.abs().max() <= thresholds.min_effect:
        return limit
    counts = torch.arange(1, top + 1, dtype=torch.float64) * effects.shape[1]
    spread = below.std() if below.numel() > 1 else torch.tensor(0.0)
    limit[:top] = below.mean().abs() + (thresholds.scale + 2 / counts.sqrt()) * spread
    return limit


def important_senders(effects: Tensor, limits: Tensor) -> tuple[Head, ...]:
    """The heads whose |f| exceeds the limit of their layer, in layer order."""
    return heads_of(effects.nan_to_num().abs().double() > limits[:, None])


def search(
    measure: Measure, n_layers: int, n_heads: int, group: int, thresholds: Thresholds, watcher: Watcher
) -> SearchResult:
    """Walk back from the logits; on cancel the result so far comes back with ``complete`` False."""
    walk = _Walk(measure, n_layers, n_heads, thresholds, watcher)
    try:
        walk.step((), LOGITS, Thresholds(LOGITS_THRESHOLD_SCALE, thresholds.min_effect))
        for layer in range(n_layers - 1, 0, -1):
            for receivers, receiver in _receivers_of(walk.heads_in(layer), group):
                walk.step(receivers, receiver, thresholds)
            walk.leave(layer)
    except Cancelled:
        return SearchResult(walk.circuit(), tuple(walk.steps), complete=False)
    return SearchResult(walk.circuit(), tuple(walk.steps), complete=True)


def _receivers_of(heads: list[Head], group: int) -> list[tuple[tuple[Head, ...], Receiver]]:
    """q of each head, then k and v of each KV head, with the circuit heads each stands for."""
    found = [((head,), Receiver(Input.Q, head)) for head in heads]
    for kv in sorted({head.index // group for head in heads}):
        members = tuple(head for head in heads if head.index // group == kv)
        name = Head(members[0].layer, kv * group)
        found += [(members, Receiver(letter, name)) for letter in (Input.K, Input.V)]
    return found


class _Walk:
    """What the walk has found so far."""

    def __init__(
        self, measure: Measure, n_layers: int, n_heads: int, thresholds: Thresholds, watcher: Watcher
    ) -> None:
        self.measure, self.watcher, self.thresholds = measure, watcher, thresholds
        self.n_layers, self.n_heads = n_layers, n_heads
        self.heads: set[Head] = set()
        self.edges: list[Edge] = []
        self.steps: list[SearchStep] = []
        self._walked = 0.0

    def heads_in(self, layer: int) -> list[Head]:
        return sorted(head for head in self.heads if head.layer == layer)

    def step(self, receivers: tuple[Head, ...], receiver: Receiver, thresholds: Thresholds) -> None:
        """Measure one receiver and take in its important senders."""
        top = self.n_layers if receiver.head is None else receiver.head.layer
        effects = self.measure(receiver, lambda share: self.watcher.step(STAGE, self._done(receiver, share), 1))
        limits = layer_thresholds(effects, top, thresholds)
        important = important_senders(effects, limits)
        self.heads.update(important)
        shared = receiver.input in (Input.K, Input.V) and len(receivers) > 1
        for sender in important:
            f = float(effects[sender.layer, sender.index])
            self.edges += [Edge(sender, head, receiver.input, f, shared) for head in receivers or (None,)]
        self.steps.append(SearchStep(receivers, receiver.input, effects, limits, important))
        self.watcher.found(self.circuit())

    def leave(self, layer: int) -> None:
        """All receivers of ``layer`` are searched."""
        self._walked = self._share_above(layer)
        self.watcher.step(STAGE, self._walked, 1)

    def circuit(self) -> Circuit:
        edges = sorted(self.edges, key=lambda edge: (edge.receiver or Head(self.n_layers, 0), edge.input, edge.sender))
        return Circuit(tuple(sorted(self.heads)), tuple(edges), self.n_layers, self.n_heads)

    def _done(self, receiver: Receiver, share: float) -> float:
        """Share of the walk done: receivers at one layer split what that layer is expected to take."""
        if receiver.head is None:
            return share * self._share_above(self.n_layers)
        layer = receiver.head.layer
        here = [step for step in self.steps if step.receivers and step.receivers[0].layer == layer]
        expected = max(1, 3 * len(self.heads_in(layer)))
        within = min(1.0, (len(here) + share) / expected)
        return self._walked + within * (self._share_above(layer) - self._walked)

    def _share_above(self, layer: int) -> float:
        """Expected share of the work from the logits down to ``layer``: its senders x the layers above it."""
        cost = [below * (self.n_layers - below) for below in range(self.n_layers)]
        logits = sum(cost) * 0.05
        return (logits + sum(cost[layer:])) / (logits + sum(cost))
