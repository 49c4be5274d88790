"""From effects to a circuit: the threshold rule and the walk back from the logits (METHOD section 2.7).

1. Measure every candidate sender's effect on the logits; the important ones join the circuit.
2. From the last layer down: measure the senders of each circuit head's q, k and v; important ones
   join. Senders lie below their receiver, so all heads of a layer are known when it is reached, and
   the result is that of the paper's queue.
   Where MLPs are nodes, a layer's MLP is reached before its heads: they may send to it.
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
from engine.cost.ledger import CostRow, together
from engine.errors import Cancelled
from engine.heads import Head
from engine.nodes import Mlp, Node, heads_among, mlps_among, nodes_of
from engine.patching.effects import PATCHING_STAGES, Decides, Effects, Tick
from engine.patching.receiver import LOGITS, Receiver
from engine.progress import Watcher
from engine.search.stops import STAGE, Stop, WalkProgress, stop_of, stops_of

# The published code does not let the grid change the first step's scale.
LOGITS_THRESHOLD_SCALE = 2.0
GRID_STAGE = "grid"

# An estimate is not trusted to decide from this share of its threshold on: what a first-order estimate
# misses grows with the effect.
MARGIN = 0.5

# (inputs of heads of one layer, one MLP, or the logits alone; whose exact effect decides; called with the share done)
Measure = Callable[[Sequence[Receiver], Decides, Tick], list[Effects]]


@dataclass(frozen=True)
class Thresholds:
    """``scale``: s, in standard deviations of the effects. ``min_effect``: |f| below which nothing counts."""

    scale: float
    min_effect: float


@dataclass(frozen=True, eq=False)
class SearchStep:
    """One receiver searched: who was measured and who was important.

    ``receivers`` are the circuit heads (or the MLP) it stands for: none for the logits, several for a shared k or
    v. ``thresholds [layer]`` is the smallest |f| that counts for a sender of that layer, infinite
    where no sender can; with other algorithms the tolerance of ACDC, the weakest score EAP took. ``spent`` is what
    the search had taken once the step was measured. The receivers of a layer are measured together, so its steps
    all carry what stood booked after the whole layer; None where nobody kept a ledger. ``mlps``: matrices have a last
    column for MLPs (engine/nodes.py).
    """

    receivers: tuple[Node, ...]
    input: Input
    effects: Tensor  # [layer head], NaN = not measured
    estimated: Tensor  # [layer head], True where the effect is first-order only
    thresholds: Tensor
    important: tuple[Node, ...]
    spent: CostRow | None = None
    mlps: bool = False

    @property
    def shared(self) -> bool:
        """Whether one KV head stands for several query heads of the circuit."""
        return self.input in (Input.K, Input.V) and len(self.receivers) > 1

    @property
    def n_heads(self) -> int:
        """Heads a layer."""
        return self.effects.shape[1] - self.mlps

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
    """The circuit of the edges found: each of its nodes sends one of them."""
    ordered = sorted(edges, key=lambda edge: (edge.receiver or Head(n_layers, 0), edge.input, edge.sender))
    nodes = sorted({edge.sender for edge in ordered})
    return Circuit(heads_among(nodes), tuple(ordered), n_layers, n_heads, mlps_among(nodes))


def search_cost(rows: Iterable[CostRow]) -> CostRow:
    """What path patching took of a run: all its stages, the grid's ablations too."""
    return together(rows, STAGE, (*PATCHING_STAGES, GRID_STAGE))


def layer_thresholds(effects: Tensor, top: float, thresholds: Thresholds) -> Tensor:
    """Smallest |f| of an important sender, by its layer: ``[layer]``, infinite where none can be.

    ``effects [layer head]``; only the layers below ``top`` are the matrix M of the rule, in which heads
    not measured count as 0:  |M_lh| > |mean M| + (s + 2 / sqrt(n_l)) · std M,  n_l entries in layers 0…l.
    ``top`` is a depth (engine/nodes.py): half a layer more takes in the heads of the MLP's own layer.
    """
    rows = [row.nan_to_num().double() for row in _rows_below(effects, top)]
    limit = torch.full((effects.shape[0],), math.inf, dtype=torch.float64)
    if not rows or max(row.abs().max() for row in rows) <= thresholds.min_effect:
        return limit
    below = torch.cat(rows)
    counts = torch.tensor([len(row) for row in rows], dtype=torch.float64).cumsum(0)
    spread = below.std() if below.numel() > 1 else torch.tensor(0.0)
    limit[: len(rows)] = below.mean().abs() + (thresholds.scale + 2 / counts.sqrt()) * spread
    return limit


def _rows_below(effects: Tensor, top: float) -> list[Tensor]:
    """Of each layer the effects of the nodes that lie below the depth ``top``."""
    whole = int(top)
    return [*effects[:whole], *([effects[whole, :-1]] if top > whole else [])]


def important_senders(effects: Tensor, limits: Tensor, n_heads: int | None = None) -> tuple[Node, ...]:
    """The nodes whose |f| exceeds the limit of their layer, in order; all are heads where ``n_heads`` is None."""
    important = effects.nan_to_num().abs().double() > limits[:, None]
    return nodes_of(important, effects.shape[1] if n_heads is None else n_heads)


def deciding_senders(effects: Tensor, top: float, thresholds: Thresholds) -> Tensor:
    """Senders ``[layer head]`` whose effect is above the threshold or at least half of it.

    Where no effect exceeds the smallest that counts, that is the threshold.
    """
    size = effects.nan_to_num().abs().double()
    limits = layer_thresholds(effects, top, thresholds)
    if limits.isinf().all():
        limits[: math.ceil(top)] = thresholds.min_effect
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
    mlp_depths: Sequence[float] | None = None,
) -> list[SearchResult]:
    """One walk for each of ``settings``, side by side: effects do not depend on thresholds (SPEED item 9).

    A receiver that several walks reach is measured once. The watcher is shown the first walk's circuit.
    ``spent`` tells what has been booked so far; it is asked after every layer. ``mlp_depths``: where each layer's
    MLP reads (engine/nodes.py), if MLPs are nodes.
    """
    walks = [_Walk(n_layers, n_heads, group, thresholds, mlp_depths) for thresholds in settings]
    progress = WalkProgress(n_layers, watcher)
    complete = False
    try:
        for stop in stops_of(n_layers, mlp_depths):
            wanted = sorted({receiver for walk in walks for receiver in walk.receivers_at(stop)})
            if wanted:
                measured = measure(wanted, _decides(walks), progress.within(stop))
                booked = spent()
                for walk in walks:
                    walk.take(stop, dict(zip(wanted, measured, strict=True)), booked)
                watcher.found(walks[0].circuit())
                watcher.walked(tuple(walks[0].steps))
            progress.leave(stop)
        complete = True
    except Cancelled:
        pass  # what was found is the result
    return [SearchResult(walk.circuit(), tuple(walk.steps), complete) for walk in walks]


@dataclass(frozen=True)
class Deciding:
    """A sender's exact effect is needed if it decides by any rule of a walk that reaches the receiver.

    ``rules``: the depth at which a receiver reads, and the thresholds of these walks. Plain values, so that
    receivers can be measured elsewhere.
    """

    rules: Callable[[Receiver], tuple[float, tuple[Thresholds, ...]]]

    def __call__(self, receiver: Receiver, effects: Tensor) -> Tensor:
        top, thresholds = self.rules(receiver)
        return torch.stack([deciding_senders(effects, top, each) for each in thresholds]).any(dim=0)


def _decides(walks: Sequence[_Walk]) -> Deciding:
    def rules(receiver: Receiver) -> tuple[float, tuple[Thresholds, ...]]:
        asking = [walk for walk in walks if receiver in walk.receivers_at(stop_of(receiver, walk.n_layers))]
        return walks[0].top(receiver), tuple(dict.fromkeys(walk.rule(receiver) for walk in asking))

    return Deciding(rules)


class _Walk:
    """What one walk has found so far."""

    def __init__(
        self, n_layers: int, n_heads: int, group: int, thresholds: Thresholds, mlp_depths: Sequence[float] | None
    ) -> None:
        self.thresholds, self.n_layers, self.n_heads, self.group = thresholds, n_layers, n_heads, group
        self.mlp_depths = mlp_depths
        self.nodes: set[Node] = set()
        self.edges: list[Edge] = []
        self.steps: list[SearchStep] = []

    def receivers_at(self, stop: Stop) -> dict[Receiver, tuple[Node, ...]]:
        """The MLP, or q of each circuit head, then k and v of each KV head, with the circuit nodes each stands for."""
        layer = stop.layer
        if layer == self.n_layers:
            return {LOGITS: ()}
        if stop.mlp:
            return {Receiver(Input.MLP, mlp): (mlp,) for mlp in mlps_among(self.nodes) if mlp.layer == layer}
        heads = sorted(head for head in heads_among(self.nodes) if head.layer == layer)
        found: dict[Receiver, tuple[Node, ...]] = {Receiver(Input.Q, head): (head,) for head in heads}
        for kv in sorted({head.index // self.group for head in heads}):
            members = tuple(head for head in heads if head.index // self.group == kv)
            name = Head(layer, kv * self.group)
            found |= {Receiver(letter, name): members for letter in (Input.K, Input.V)}
        return found

    def top(self, receiver: Receiver) -> float:
        """The depth at which it reads."""
        if receiver.head is None:
            return self.n_layers
        if self.mlp_depths is not None and isinstance(receiver.head, Mlp):
            return self.mlp_depths[receiver.head.layer]
        return receiver.head.layer

    def take(self, stop: Stop, measured: dict[Receiver, Effects], spent: CostRow | None) -> None:
        """Take in the important senders of this stop's receivers."""
        for receiver, nodes in self.receivers_at(stop).items():
            self._step(receiver, nodes, measured[receiver], spent)

    def circuit(self) -> Circuit:
        return circuit_of(self.edges, self.n_layers, self.n_heads)

    def _step(
        self, receiver: Receiver, receivers: tuple[Node, ...], measured: Effects, spent: CostRow | None
    ) -> None:
        limits = layer_thresholds(measured.f, self.top(receiver), self.rule(receiver))
        important = important_senders(measured.f, limits, self.n_heads)
        self.nodes.update(important)
        step = SearchStep(
            receivers, receiver.input, measured.f, measured.estimated, limits, important, spent,
            mlps=self.mlp_depths is not None,
        )  # fmt: skip
        self.edges += step.edges
        self.steps.append(step)

    def rule(self, receiver: Receiver) -> Thresholds:
        if receiver.head is None:
            return Thresholds(LOGITS_THRESHOLD_SCALE, self.thresholds.min_effect)
        return self.thresholds
