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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.circuit import Circuit, Edge, Input
from engine.cost import CostRow, together
from engine.errors import Cancelled
from engine.heads import Head, heads_of
from engine.patching.effects import PATCHING_STAGES, Decides, Effects, Tick
from engine.patching.receiver import LOGITS, Receiver
from engine.progress import Watcher

# The published code does not let the grid change the first step's scale.
LOGITS_THRESHOLD_SCALE = 2.0
GRID_STAGE = "grid"
STAGE = "path patching"  # as progress names it; the ledger has its parts

# An estimate is not trusted to decide from this share of its threshold on: what a first-order estimate
# misses grows with the effect.
MARGIN = 0.5

# (receivers of one layer, or the logits alone; whose exact effect decides; called with the share done)
Measure = Callable[[Sequence[Receiver], Decides, Tick], list[Effects]]


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
    where no sender can; with other algorithms the tolerance of ACDC, the weakest score EAP took. ``spent`` is what
    the search had taken once the step was measured. The receivers of a layer are measured together, so its steps
    all carry what stood booked after the whole layer; None where nobody kept a ledger.
    """

    receivers: tuple[Head, ...]
    input: Input
    effects: Tensor  # [layer head], NaN = not measured
    estimated: Tensor  # [layer head], True where the effect is first-order only
    thresholds: Tensor
    important: tuple[Head, ...]
    spent: CostRow | None = None

    @property
    def shared(self) -> bool:
        """Whether one KV head stands for several query heads of the circuit."""
        return self.input in (Input.K, Input.V) and len(self.receivers) > 1

    @property
    def edges(self) -> list[Edge]:
        """The edges it adds to the circuit: one from each important sender to each receiver."""
        return [
            Edge(sender, head, self.input, float(self.effects[sender.layer, sender.index]), self.shared)
            for sender in self.important
            for head in self.receivers or (None,)
        ]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """``complete`` is False when cancelled: the circuit is what had been found by then."""

    circuit: Circuit
    steps: tuple[SearchStep, ...]
    complete: bool


def circuit_of(edges: Iterable[Edge], n_layers: int, n_heads: int) -> Circuit:
    """The circuit of the edges found: each of its heads sends one of them."""
    ordered = sorted(edges, key=lambda edge: (edge.receiver or Head(n_layers, 0), edge.input, edge.sender))
    return Circuit(tuple(sorted({edge.sender for edge in ordered})), tuple(ordered), n_layers, n_heads)


def search_cost(rows: Iterable[CostRow]) -> CostRow:
    """What path patching took of a run: all its stages, the grid's ablations too."""
    return together(rows, STAGE, (*PATCHING_STAGES, GRID_STAGE))


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


def deciding_senders(effects: Tensor, top: int, thresholds: Thresholds) -> Tensor:
    """Senders ``[layer head]`` whose effect is above the threshold or at least half of it.

    Where no effect exceeds the smallest that counts, that is the threshold.
    """
    size = effects.nan_to_num().abs().double()
    limits = layer_thresholds(effects, top, thresholds)
    if limits.isinf().all():
        limits[:top] = thresholds.min_effect
    return (size >= MARGIN * limits[:, None]) & ~effects.isnan()


def search(
    measure: Measure, n_layers: int, n_heads: int, group: int, thresholds: Thresholds, watcher: Watcher
) -> SearchResult:
    """Walk back from the logits; on cancel the result so far comes back with ``complete`` False."""
    return search_all(measure, n_layers, n_heads, group, [thresholds], watcher)[0]


def search_all(
    measure: Measure,
    n_layers: int,
    n_heads: int,
    group: int,
    settings: Sequence[Thresholds],
    watcher: Watcher,
    spent: Callable[[], CostRow | None] = lambda: None,
) -> list[SearchResult]:
    """One walk for each of ``settings``, side by side: effects do not depend on thresholds (SPEED item 9).

    A receiver that several walks reach is measured once. The watcher is shown the first walk's circuit.
    ``spent`` tells what has been booked so far; it is asked after every layer.
    """
    walks = [_Walk(n_layers, n_heads, group, thresholds) for thresholds in settings]
    progress = WalkProgress(n_layers, watcher)
    complete = False
    try:
        for layer in range(n_layers, 0, -1):
            wanted = sorted({receiver for walk in walks for receiver in walk.receivers_in(layer)})
            if wanted:
                measured = measure(wanted, _decides(walks), progress.within(layer))
                booked = spent()
                for walk in walks:
                    walk.take(layer, dict(zip(wanted, measured, strict=True)), booked)
                watcher.found(walks[0].circuit())
                watcher.walked(tuple(walks[0].steps))
            progress.leave(layer)
        complete = True
    except Cancelled:
        pass  # what was found is the result
    return [SearchResult(walk.circuit(), tuple(walk.steps), complete) for walk in walks]


def _decides(walks: Sequence[_Walk]) -> Decides:
    """A sender's exact effect is needed if it decides in any walk that reaches the receiver."""

    def decides(receiver: Receiver, effects: Tensor) -> Tensor:
        asking = [walk for walk in walks if receiver in walk.receivers_in(walk.top(receiver))]
        return torch.stack([walk.deciding(receiver, effects) for walk in asking]).any(dim=0)

    return decides


class _Walk:
    """What one walk has found so far. The logits are the receiver "in layer" n_layers."""

    def __init__(self, n_layers: int, n_heads: int, group: int, thresholds: Thresholds) -> None:
        self.thresholds, self.n_layers, self.n_heads, self.group = thresholds, n_layers, n_heads, group
        self.heads: set[Head] = set()
        self.edges: list[Edge] = []
        self.steps: list[SearchStep] = []

    def receivers_in(self, layer: int) -> dict[Receiver, tuple[Head, ...]]:
        """q of each circuit head, then k and v of each KV head, with the circuit heads each stands for."""
        if layer == self.n_layers:
            return {LOGITS: ()}
        heads = sorted(head for head in self.heads if head.layer == layer)
        found = {Receiver(Input.Q, head): (head,) for head in heads}
        for kv in sorted({head.index // self.group for head in heads}):
            members = tuple(head for head in heads if head.index // self.group == kv)
            name = Head(layer, kv * self.group)
            found |= {Receiver(letter, name): members for letter in (Input.K, Input.V)}
        return found

    def top(self, receiver: Receiver) -> int:
        return self.n_layers if receiver.head is None else receiver.head.layer

    def deciding(self, receiver: Receiver, effects: Tensor) -> Tensor:
        return deciding_senders(effects, self.top(receiver), self._rule(receiver))

    def take(self, layer: int, measured: dict[Receiver, Effects], spent: CostRow | None) -> None:
        """Take in the important senders of this layer's receivers."""
        for receiver, heads in self.receivers_in(layer).items():
            self._step(receiver, heads, measured[receiver], spent)

    def circuit(self) -> Circuit:
        return circuit_of(self.edges, self.n_layers, self.n_heads)

    def _step(
        self, receiver: Receiver, receivers: tuple[Head, ...], measured: Effects, spent: CostRow | None
    ) -> None:
        limits = layer_thresholds(measured.f, self.top(receiver), self._rule(receiver))
        important = important_senders(measured.f, limits)
        self.heads.update(important)
        step = SearchStep(receivers, receiver.input, measured.f, measured.estimated, limits, important, spent)
        self.edges += step.edges
        self.steps.append(step)

    def _rule(self, receiver: Receiver) -> Thresholds:
        if receiver.head is None:
            return Thresholds(LOGITS_THRESHOLD_SCALE, self.thresholds.min_effect)
        return self.thresholds


class WalkProgress:
    """Share of the walk done: what each layer is expected to take, and how far within it."""

    def __init__(self, n_layers: int, watcher: Watcher) -> None:
        self._watcher, self._walked = watcher, 0.0
        cost = [below * (n_layers - below) for below in range(n_layers)]
        cost.append(max(1, round(0.05 * sum(cost))))  # the logits
        self._share = {layer: sum(cost[layer:]) / sum(cost) for layer in range(n_layers + 1)}

    def within(self, layer: int) -> Tick:
        ahead = self._share[layer] - self._walked
        return lambda share: self._watcher.step(STAGE, self._walked + share * ahead, 1)

    def leave(self, layer: int) -> None:
        """All receivers of ``layer`` are searched."""
        self._walked = self._share[layer]
        self._watcher.step(STAGE, self._walked, 1)
