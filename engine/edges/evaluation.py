"""How true a circuit's edges are, beside its heads, on prompts it was not found on (METHOD section 2.9).

1. Edges alone: only the circuit's edges live, every other input replaced (engine/edges/run.py).
2. Heads alone: the circuit's heads live, which is every edge among them.
3. The difference of the two faithfulnesses, drawn together: what flows along edges that the circuit does not list.
4. Each edge taken out in turn: its own contribution, judged like a head's (engine/evaluation/minimality.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.ablation import Ablation, Ablator
from engine.circuit import Circuit, Edge, check_heads_alone
from engine.cost.evaluation_estimate import seconds_of
from engine.cost.ledger import CostRow, Ledger, head_flops, hooked_flops, mlp_flops, pass_flops
from engine.edges.nodes import Drawing, Nodes, Stream
from engine.edges.run import EdgeAblator, EdgeVerification, edge_contributions, verify_edges
from engine.edges.wiring import Wiring, reached, receiver_of, wiring_of
from engine.errors import HeadlightError
from engine.evaluation.bootstrap import DRAWS, Interval
from engine.evaluation.evaluate import EDGE_MINIMALITY, FRESH, check_shape
from engine.evaluation.faithfulness import Faithfulness, faithfulness_of, measure_faithfulness
from engine.evaluation.minimality import Minimality, minimality
from engine.evaluation.performance import Performance, measure_performance
from engine.evaluation.scale import Scale
from engine.fresh import fresh_activations
from engine.heads import mask_of
from engine.models.parts import Layer
from engine.prepare import Prepared
from engine.progress import Watcher

EDGES_ALONE = "edges alone"
COUNTED = 16  # edges taken out that an estimate looks at
SAME = 0.02  # of faithfulness: a difference that no reader would act on


class Gap(StrEnum):
    """What lies between a circuit's edges and its heads."""

    NONE = "nothing to speak of flows along edges that it does not list"
    MISSING = "part of what its heads do flows along edges that it does not list"
    AGAINST = "the edges that it does not list pull the metric down"
    UNKNOWN = ""


@dataclass(frozen=True, eq=False)
class EdgeEvaluation:
    """``edges`` and ``heads``: faithfulness of the edges alone and of the heads with every edge among them;
    ``difference`` = edges - heads. ``verification`` counts the edges, ``minimality`` judges each."""

    circuit: Circuit
    verification: EdgeVerification
    edges: Faithfulness
    edges_performance: Performance
    heads: Faithfulness
    heads_performance: Performance
    difference: Interval
    minimality: Minimality[Edge]
    n: int
    seed: int
    fresh: bool
    cost: tuple[CostRow, ...]

    @property
    def standing(self) -> Gap:
        """By the interval, and large enough to matter."""
        gap = self.difference
        if not gap.known:
            return Gap.UNKNOWN
        if gap.high < 0 and gap.value < -SAME:
            return Gap.MISSING
        return Gap.AGAINST if gap.low > 0 and gap.value > SAME else Gap.NONE

    @property
    def words(self) -> str:
        """What the difference means, in a sentence or two."""
        if not self.difference.defined:
            return self.edges.note
        both = f"{self.edges.faithfulness.words()} by its edges alone, {self.heads.faithfulness.words()} by its heads"
        meaning = self.standing.value or f"how sure the difference is cannot be told, {self.difference.note}"
        return f"Faithfulness is {both}: {meaning}."


def evaluate_edges(
    prepared: Prepared,
    circuit: Circuit,
    seed: int,
    watcher: Watcher,
    ablation: Ablation = Ablation.MEAN,
    draws: int = DRAWS,
) -> EdgeEvaluation:
    """Evaluate the edges of ``circuit``, found on the prompts of ``prepared``, on those of ``seed``.

    Raises HeadlightError for a circuit of another shape, with MLPs as nodes or without edges, Cancelled if stopped.
    """
    check_edges(prepared, circuit)
    model = prepared.model
    ledger = Ledger(pass_flops(model, prepared.prompts), watcher.spend, watcher.now)
    watcher.step(FRESH, 0, 1)
    with ledger.stage(FRESH):
        activations, seed = fresh_activations(prepared, seed, ledger)
    scale = Scale.of(activations, seed, draws)
    watcher.step(EDGES_ALONE, 0, 1)
    with ledger.stage(EDGES_ALONE):
        ablator = EdgeAblator(model, activations, ledger, ablation, prepared.memory)
        verification = verify_edges(activations, ablator, circuit.edges, seed)
        keep = mask_of(circuit.heads, model.n_layers, model.n_heads)
        heads = Ablator(model, activations, ledger, ablation).by_pair(keep)
    with ledger.stage(EDGE_MINIMALITY):
        parts = edge_contributions(ablator, circuit.edges, lambda share: watcher.step(EDGE_MINIMALITY, share, 1))
    together = parts.with_all, heads, scale.clean, scale.corrupted
    return EdgeEvaluation(
        circuit=circuit,
        verification=verification,
        edges=measure_faithfulness(parts.with_all, scale, ablation),
        edges_performance=measure_performance(parts.with_all, scale, ablation),
        heads=measure_faithfulness(heads, scale, ablation),
        heads_performance=measure_performance(heads, scale, ablation),
        difference=scale.interval(
            lambda ours, theirs, *ends: faithfulness_of(ours, *ends) - faithfulness_of(theirs, *ends), *together
        ),
        minimality=minimality(dict(zip(circuit.edges, parts.by_pair, strict=True)), scale),
        n=scale.n,
        seed=seed,
        fresh=activations is not prepared.activations,
        cost=ledger.rows(),
    )


def check_edges(prepared: Prepared, circuit: Circuit) -> None:
    """Raises HeadlightError unless it has edges between heads alone, and could be one of the model."""
    check_shape(circuit, prepared.model)
    check_heads_alone(circuit, "An evaluation of edges")
    if not circuit.edges:
        raise HeadlightError(
            "Expected a circuit with edges, got one that names heads alone. Search for one with edges."
        )
    wiring_of(circuit.edges, prepared.model.shape)


def edges_seconds(prepared: Prepared, circuit: Circuit) -> float:
    """About what ``evaluate_edges`` will take on this machine."""
    return seconds_of(prepared, edges_flops(prepared, circuit))


def edges_flops(prepared: Prepared, circuit: Circuit) -> float:
    """About what ``evaluate_edges`` will book: fresh prompts, the heads alone, and the streams of all edge sets.

    Of many edges some are counted for all.
    """
    model = prepared.model
    whole, without, every = _wirings(circuit.edges, prepared)
    times = every / len(without)
    around = 3 * pass_flops(model, prepared.prompts)
    if not model.fast:
        one, others = _forwards([whole], model.group), _forwards(without, model.group)
        return around + (2 * one + times * others) * hooked_flops(model, prepared.prompts)
    nodes = Nodes(model.n_layers, model.group)
    own = nodes.behind([Drawing(nodes, whole).final])
    added = nodes.behind([Drawing(nodes, wiring).final for wiring in without], own)
    of_own, of_added = (sum(_node_flops(prepared, nodes, number) for number in some) for some in (own, added))
    return around + 2 * of_own + times * of_added


def _wirings(edges: Sequence[Edge], prepared: Prepared) -> tuple[Wiring, list[Wiring], int]:
    """The whole, that without one edge for a few of them, and how many there are to take out."""
    group = prepared.model.group
    whole = wiring_of(edges, prepared.model.shape)
    named = sorted({(receiver_of(edge, group), edge.sender) for edge in edges}, key=str)
    few = named[:: -(-len(named) // COUNTED)]
    return whole, [whole.hearing(to, whole.heard_by(to) - {sender}) for to, sender in few], len(named)


def _forwards(wirings: Sequence[Wiring], group: int) -> int:
    """Hooked forwards: one for each of q, k, v and z of a head, one for the logits (engine/edges/reference.py)."""
    return sum(4 * len(reached(wiring, group).heads) + 1 for wiring in wirings)


def _node_flops(prepared: Prepared, nodes: Nodes, number: int) -> float:
    """Norm, projections and MLP of one node over all pairs."""
    node, layers = nodes[number], prepared.model.parts.layers
    if isinstance(node, Stream) and not node.layer:
        return 0.0
    index = node.layer - 1 if isinstance(node, Stream) else node.head.layer
    layer: Layer = layers[index]
    total = 0.0
    for item in prepared.activations.batches:
        pairs, length = item.batch.clean.shape
        rows = pairs * (1 if node.narrow else length)
        if isinstance(node, Stream):
            total += mlp_flops(layer, rows)
        else:
            inputs = 2 * prepared.model.d_model * layer.d_head * (rows + 2 * pairs * length)
            total += inputs + head_flops(layer, rows, length, 1)
    return total
