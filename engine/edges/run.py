"""The model with only a circuit's edges live: how true are its edges, not only its heads (METHOD section 2.9).

1. Each receiver, and the logits, has a residual stream of its own: token embeddings of the clean prompt, and in
   every layer what attention writes when the heads whose edge to it is live give their z of this run and all
   others their stand-in (engine/ablation.py); MLPs and norms of that stream recomputed.
2. A head's z in this run comes from the streams of its own q, k and v. Layers go upwards; the metric is read from
   the stream of the logits.
3. With every edge among a set of heads live this is the ablation of all other heads.

Streams that have heard the same are one (engine/edges/nodes.py), and several edge sets run together, so that
taking each edge out in turn costs what lies above it. A model whose parts are not known runs
engine/edges/reference.py instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.ablation import Ablation, stand_ins
from engine.activations import Activations
from engine.circuit import Edge
from engine.cost.ledger import Ledger
from engine.edges.nodes import Drawing, Nodes
from engine.edges.reference import ReferenceEdges
from engine.edges.streams import EdgePairs, EdgeStreams
from engine.edges.wiring import Wiring, receiver_of, wiring_of
from engine.heads import Head
from engine.machine.memory import MemoryPlan, plan_memory
from engine.metrics import faithfulness, performance
from engine.models.model import Model
from engine.patching.effects import Tick

STREAMS_TOGETHER = 256  # of one layer: pairs are run so few at a time that this many fit the memory
WIRINGS_TOGETHER = 16  # more share little that these do not
NOTHING_KEPT: frozenset[int] = frozenset()


@dataclass(frozen=True)
class EdgeVerification:
    """``performance`` in percent, ``faithfulness`` as a ratio, of the edges alone; like ``Verification`` for heads.

    ``edges`` counts them as listed, ``distinct`` with those that share a KV head once; ``heads`` send one of them.
    """

    performance: float
    faithfulness: float
    edges: int
    distinct: int
    heads: int
    n: int  # pairs
    seed: int  # of the prompts it was measured on
    ablation: Ablation
    circuit_logit_diff: float
    clean_logit_diff: float
    corrupted_logit_diff: float


@dataclass(frozen=True, eq=False)
class EdgeContributions:
    """What each edge adds: ``with_all - without[edge]`` pair by pair. Edges that share a KV head go together."""

    edges: tuple[Edge, ...]
    with_all: Tensor  # [pair]
    without: Tensor  # [edge pair]
    ablation: Ablation

    @property
    def by_pair(self) -> Tensor:
        """F(E) - F(E without it) of each edge and pair: ``[edge pair]``."""
        return self.with_all - self.without


class EdgeAblator:
    """Evaluates edge sets on one prompt set."""

    def __init__(
        self,
        model: Model,
        activations: Activations,
        ledger: Ledger,
        kind: Ablation = Ablation.MEAN,
        memory: MemoryPlan | None = None,
    ) -> None:
        """``memory``: how the work is cut; planned for what is free if None."""
        self.kind, self.model, self.activations, self.ledger = kind, model, activations, ledger
        self.nodes = Nodes(model.n_layers, model.group)
        replaced = stand_ins(activations.batches, kind)
        self._hooked = [
            ReferenceEdges(model, item, stand_in, ledger)
            for item, stand_in in zip(activations.batches, replaced, strict=True)
            if not model.fast
        ]
        self.memory = memory or plan_memory(model, activations.prompts)
        self.runs = list(self._cut(replaced)) if model.fast else []

    def by_pair(self, edges: Iterable[Edge]) -> Tensor:
        """Metric of each pair, ``[pair]``, with only ``edges`` live.

        Raises HeadlightError for an edge the model cannot have.
        """
        return self.of_wirings([wiring_of(edges, self.model.shape)])[0]

    def metric(self, edges: Iterable[Edge]) -> float:
        """Mean of ``by_pair``."""
        return float(self.by_pair(edges).mean())

    @torch.no_grad()
    def of_wirings(
        self, wirings: Sequence[Wiring], keep: frozenset[int] = NOTHING_KEPT, tick: Tick = lambda share: None
    ) -> Tensor:
        """Metric ``[wiring pair]``; nodes in ``keep`` stay at hand for the next call, while memory lasts."""
        values = torch.empty(len(wirings), len(self.activations.prompts), dtype=torch.float64)
        if not self.model.fast:
            return self._by_hooks(wirings, values, tick)
        finals = [Drawing(self.nodes, wiring).final for wiring in wirings]
        distinct = list(dict.fromkeys(finals))
        place = torch.tensor([distinct.index(final) for final in finals])
        parts = [distinct[first : first + WIRINGS_TOGETHER] for first in range(0, len(distinct), WIRINGS_TOGETHER)]
        for done, run in enumerate(self.runs):
            metrics = []
            for part in parts:
                metrics.append(run.metrics(part, keep))
                tick((done + len(metrics) / len(parts)) / len(self.runs))
            values[:, list(run.pairs.indices)] = torch.cat(metrics).double().cpu()[place]
        return values

    def forget(self) -> None:
        """Keep no node: what is run next costs the same, and is the same to the last bit, whatever was run before."""
        self.nodes = Nodes(self.model.n_layers, self.model.group)
        for run in self.runs:
            run.forget(self.nodes)

    def hold(self) -> None:
        """Keep what any run keeps whatever it is asked."""
        for run in self.runs:
            for layer in range(self.model.n_layers):
                run.stand_in_writes(layer)

    def _by_hooks(self, wirings: Sequence[Wiring], values: Tensor, tick: Tick) -> Tensor:
        for place, wiring in enumerate(wirings):
            for item, run in zip(self.activations.batches, self._hooked, strict=True):
                values[place, list(item.batch.indices)] = run.metric(wiring).double().cpu()
            tick((place + 1) / len(wirings))
        return values

    def _cut(self, replaced: Sequence[Tensor]) -> Iterator[EdgeStreams]:
        """So few pairs a run that ``STREAMS_TOGETHER`` streams fit half of what may be kept; they share the rest."""
        pieces = []
        for item, stand_in in zip(self.activations.batches, replaced, strict=True):
            pair = item.clean.resid_pre[0, 0].nbytes * STREAMS_TOGETHER
            size = max(1, int(self.memory.streams / 2 / pair))
            # Stand-ins differ from clean values everywhere, but for the corrupted prompt's own.
            first = item.first if self.kind is Ablation.RESAMPLE else 0
            pieces += [
                EdgePairs.of(item, stand_in, slice(start, start + size), first)
                for start in range(0, len(item.batch.pairs), size)
            ]
        for pairs in pieces:
            budget = self.memory.streams / 2 / len(pieces)
            yield EdgeStreams(self.model.parts, pairs, self.nodes, self.memory.rows, budget, self.ledger)


def verify_edges(activations: Activations, ablator: EdgeAblator, edges: Sequence[Edge], seed: int) -> EdgeVerification:
    """Measure ``edges`` alone on the prompts ``activations`` were captured from."""
    value = ablator.metric(edges)
    group = ablator.model.group
    return EdgeVerification(
        performance=performance(value, activations.clean),
        faithfulness=faithfulness(value, activations.clean, activations.corrupted),
        edges=len(edges),
        distinct=len({(edge.sender, receiver_of(edge, group)) for edge in edges}),
        heads=len({edge.sender for edge in edges}),
        n=len(activations.prompts),
        seed=seed,
        ablation=ablator.kind,
        circuit_logit_diff=value,
        clean_logit_diff=activations.clean,
        corrupted_logit_diff=activations.corrupted,
    )


def edge_contributions(
    ablator: EdgeAblator, edges: Sequence[Edge], tick: Tick = lambda share: None
) -> EdgeContributions:
    """Take each of ``edges`` out in turn; ``tick`` is told the share done and may raise Cancelled."""
    whole = wiring_of(edges, ablator.model.shape)
    # From the last layer down, so that edge sets run together differ in the same layers.
    named = [(receiver_of(edge, ablator.model.group), edge.sender) for edge in edges]
    order = sorted(set(named), key=lambda name: (name[0].head or Head(ablator.model.n_layers, 0), name), reverse=True)
    wirings = [whole.hearing(receiver, whole.heard_by(receiver) - {sender}) for receiver, sender in order]
    keep = NOTHING_KEPT
    if ablator.model.fast:
        keep = frozenset(ablator.nodes.behind([Drawing(ablator.nodes, whole).final]))
    values = ablator.of_wirings([whole, *wirings], keep, tick)
    place = {name: index + 1 for index, name in enumerate(order)}
    rows = [place[name] for name in named]
    return EdgeContributions(tuple(edges), values[0], values[rows], ablator.kind)
