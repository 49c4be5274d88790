"""FLOPs of path patching by stage, from shapes alone: what the ledger books, known beforehand.

1. Logits stage: every sender carried through every layer at one position.
2. Sender sweep: every sender carried up to the highest receiver, at all positions that can change.
3. Pass 2: a receiver takes its senders' q, k or v and the attention they touch; and, measured
   exactly, the live model from its layer upwards.
4. Attribution instead (engine/search/eap.py): every sender carried through all layers once, the gradients of each run,
   and one product of every sender's stream with every receiver's gradient.
5. ACDC (engine/search/acdc.py), roughly: a decision carries the receiver's stream from the sender up to it, and the
   streams of the receivers above that hear of it; its estimates take one run forwards and back through these.

Where MLPs are nodes (``node_patching_flops``) no sender is carried: what it writes is added to the clean stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from engine.activations import BatchActivations
from engine.circuit import Input
from engine.cost.ledger import attention_flops, gradient_flops, head_flops, mlp_flops, output_flops, unembed_flops
from engine.heads import Head
from engine.models.model import Model
from engine.nodes import Mlp, Node, depth_of, heads_among
from engine.patching.effects import ATTRIBUTION, LOGITS_STAGE, PASS_TWO, SENDER_SWEEP
from engine.patching.input_gradients import input_gradient_flops, receivers_by_layer, stream_gradient_flops
from engine.patching.mlp_nodes import depths_of
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_passes
from engine.settings import Mode

# Of the streams above an edge that ACDC tries, those that hear of its change; measured on small random models.
REACHED = 0.15


def path_patching_flops(
    model: Model,
    items: Sequence[BatchActivations],
    senders: Sequence[Head],
    receivers: Mapping[Head, float],
    mode: Mode,
    recomputed: float,
) -> dict[str, float]:
    """By stage, on the fast path. Reads shapes alone, so ``items`` may lie on torch's meta device.

    ``receivers``: how likely each is visited; ``recomputed``: the share of paths a screened search
    measures exactly after estimating them.
    """
    visits = [_Visit(*at, at[0], chance) for at, chance in _visits(model, receivers).items()]
    top = max((head.layer for head in receivers), default=0)
    return _search_flops(model, items, senders, visits, _carried_flops, top, mode, recomputed)


def node_patching_flops(
    model: Model,
    items: Sequence[BatchActivations],
    senders: Sequence[Node],
    receivers: Mapping[Node, float],
    mode: Mode,
    recomputed: float,
) -> dict[str, float]:
    """The same with MLPs as nodes."""
    heads = {node: chance for node, chance in receivers.items() if isinstance(node, Head)}
    mlps = {node: chance for node, chance in receivers.items() if isinstance(node, Mlp)}
    depths = depths_of(model.parts)
    visits = [_Visit(*at, at[0], chance) for at, chance in _visits(model, heads).items()]
    visits += [_Visit(node.layer, Input.MLP, depths[node.layer], chance) for node, chance in mlps.items()]
    top = max((visit.depth for visit in visits), default=0)
    return _search_flops(model, items, senders, visits, _written_flops, top, mode, recomputed)


class _Visit(NamedTuple):
    """A receiver, by its layer and letter, that senders below ``depth`` reach; how likely it is visited."""

    layer: int
    letter: Input
    depth: float
    chance: float


def _search_flops(
    model: Model,
    items: Sequence[BatchActivations],
    senders: Sequence[Any],
    visits: Sequence[_Visit],
    carried: Callable[[Model, Sequence[Any], Any, Sequence[int]], float],
    top: float,
    mode: Mode,
    recomputed: float,
) -> dict[str, float]:
    """By stage. ``carried``: what brings senders up to a depth, ``top`` that of the highest receiver."""
    stages = {
        LOGITS_STAGE: carried(model, senders, model.n_layers, [len(item.batch.pairs) for item in items])
        + len(senders) * sum(_logits_flops(model, item) for item in items),
        SENDER_SWEEP: carried(model, senders, top, [_rows(item) for item in items]),
    }
    total = 0.0
    if mode is Mode.SCREENED and visits:
        total += sum(_gradient_flops(model, item) for item in items)
    shared = {visit.layer for visit in visits if visit.letter is not Input.MLP}
    total += sum(_shared_flops(model, item, layer) for layer in shared for item in items)
    for visit in visits:
        below = sum(depth_of(sender) < visit.depth for sender in senders)
        path = sum(_path_flops(model, item, visit.layer, visit.letter) for item in items)
        exact = sum(_resume_flops(model, item, visit.layer, visit.letter) for item in items)
        if visit.letter is not Input.MLP:  # an MLP's output is computed either way, a head's z again when it is exact
            exact += path
        total += visit.chance * below * (exact if mode is Mode.EXACT else path + recomputed * exact)
    return stages | {PASS_TWO: total}


def _written_flops(model: Model, senders: Sequence[Node], top: float, rows: Sequence[int]) -> float:
    """What heads below the depth ``top`` write; what MLPs write was captured."""
    below = [head for head in heads_among(senders) if head.layer < top]
    return sum(output_flops(model.parts.layers[head.layer], n, 1) for head in below for n in rows)


def attribution_flops(
    model: Model, items: Sequence[BatchActivations], senders: Sequence[Head], steps: int
) -> dict[str, float]:
    """By stage: scoring every edge among ``senders``, with gradients of ``steps`` runs. Reads shapes alone."""
    total = 0.0
    for item in items:
        pairs, length = item.batch.clean.shape
        total += steps * input_gradient_flops(model.parts, pairs, length, _tokens(model, item))
        total += 2 * len(senders) * pairs * model.d_model  # the logits
        for layer, receivers in receivers_by_layer(senders, model.group).items():
            below = sum(sender.layer < layer for sender in senders)
            total += steps * stream_gradient_flops(model.parts.layers[layer], _rows(item), len(receivers))
            total += 2 * below * len(receivers) * _rows(item) * model.d_model
    carried = _carried_flops(model, senders, model.n_layers, [_rows(item) for item in items])
    return {ATTRIBUTION: total, SENDER_SWEEP: carried}


def attribution_passes(model: Model, senders: Sequence[Head], steps: int) -> int:
    """The same scores the plain way (engine/patching/eap_reference.py): pass 1 of each sender, two runs an edge."""
    layers = receivers_by_layer(senders, model.group)
    edges = len(senders) + sum(
        len(receivers) * sum(sender.layer < layer for sender in senders) for layer, receivers in layers.items()
    )
    return len(senders) + 2 * steps * edges


def acdc_flops(
    model: Model,
    items: Sequence[BatchActivations],
    senders: Sequence[Head],
    receivers: Mapping[Head, float],
    mode: Mode,
    recomputed: float,
) -> dict[str, float]:
    """By stage, a rough guess. ``receivers``: how likely each is heard still; ``recomputed`` as for path patching."""
    visits, total = _visits(model, receivers), 0.0
    mlps = [sum(mlp_flops(layer, _rows(item)) for item in items) for layer in model.parts.layers]
    ends = [sum(mlp_flops(layer, len(item.batch.pairs)) for item in items) for layer in model.parts.layers]
    for (layer, letter), chance in visits.items():
        below = [sender.layer for sender in senders if sender.layer < layer]
        above = sum(ends[layer:]) + sum(
            heard * sum(mlps[layer:higher]) for (higher, _), heard in visits.items() if higher > layer
        )
        path = sum(_path_flops(model, item, layer, letter) for item in items)
        decided = chance * sum(sum(mlps[sender:layer]) + path + REACHED * above for sender in below)
        if mode is Mode.SCREENED:  # one run forwards and back serves all receivers of a layer
            decided = recomputed * decided + (3 * REACHED * above * min(1.0, chance) if letter is Input.Q else 0.0)
        total += decided
    unembedded = sum(_logits_flops(model, item) for item in items)
    logits = sum(sum(ends[sender.layer :]) + unembedded for sender in senders)
    sweep = {}
    if mode is Mode.SCREENED:
        top = max((head.layer for head in receivers), default=0)
        sweep = {SENDER_SWEEP: _carried_flops(model, senders, top, [_rows(item) for item in items])}
    return {LOGITS_STAGE: logits, **sweep, PASS_TWO: total}


def _visits(model: Model, receivers: Mapping[Head, float]) -> dict[tuple[int, Input], float]:
    """Expected number of receivers by layer and letter: a KV head is visited if any query head of its group is."""
    visits: dict[tuple[int, Input], float] = {}
    missed: dict[tuple[int, int], float] = {}
    for head, chance in receivers.items():
        visits[head.layer, Input.Q] = visits.get((head.layer, Input.Q), 0.0) + chance
        group = (head.layer, head.index // model.group)
        missed[group] = missed.get(group, 1.0) * (1 - chance)
    for (layer, _), none in missed.items():
        for letter in (Input.K, Input.V):
            visits[layer, letter] = visits.get((layer, letter), 0.0) + 1 - none
    return visits


def hooked_passes(
    model: Model, senders: Sequence[Node], receivers: Mapping[Head, float] | Mapping[Node, float], mlps: bool = False
) -> float:
    """The same search the plain way, in hooked forwards of all pairs: logits, each receiver's letters, recordings."""
    passes = float(reference_passes(LOGITS, len(senders)))
    heads = {node: chance for node, chance in receivers.items() if isinstance(node, Head)}
    for (layer, letter), visits in _visits(model, heads).items():
        below = sum(depth_of(sender) < layer for sender in senders)
        passes += visits * reference_passes(Receiver(letter, Head(layer, 0)), below)
    depths = depths_of(model.parts) if mlps else ()
    for node, chance in receivers.items():
        if isinstance(node, Mlp):
            below = sum(depth_of(sender) < depths[node.layer] for sender in senders)
            passes += chance * reference_passes(Receiver(Input.MLP, node), below)
    return passes


def _carried_flops(model: Model, senders: Sequence[Head], top: int, rows: Sequence[int]) -> float:
    """Senders carried into layer ``top``, ``rows`` (pair x position) of each batch.

    Each sender's change is written by its head once, then MLPs run for those that entered.
    """
    total = 0.0
    for index, layer in enumerate(model.parts.layers[:top]):
        entered = sum(sender.layer <= index for sender in senders)
        entering = sum(sender.layer == index for sender in senders)
        # A parallel block's MLP does not see what its own senders wrote, so they share one.
        changed = entered - entering + min(entering, 1) if layer.parallel else entered
        total += sum(mlp_flops(layer, changed * n) + output_flops(layer, entering * n, 1) for n in rows)
    return total


def _path_flops(model: Model, item: BatchActivations, layer: int, letter: Input) -> float:
    """One sender's change of a receiver's z: see ``patched_z``. A patched v is mixed by the clean pattern.

    Of an MLP, its output under the patch.
    """
    rows = _rows(item)
    if letter is Input.MLP:
        return mlp_flops(model.parts.layers[layer], rows)
    mixing = head_flops(model.parts.layers[layer], rows, item.batch.clean.shape[1], _reached(model, letter))
    return 2 * rows * model.d_model * model.d_head + (mixing / 2 if letter is Input.V else mixing)


def _resume_flops(model: Model, item: BatchActivations, layer_index: int, letter: Input) -> float:
    """One sender's live model from the receiver's layer upwards: see ``resume``."""
    layers, rows = model.parts.layers, _rows(item)
    pairs, length = item.batch.clean.shape
    total = _logits_flops(model, item)
    if letter is not Input.MLP:
        total += output_flops(layers[layer_index], rows, _reached(model, letter))
    for index in range(layer_index, len(layers)):
        live = rows if index < len(layers) - 1 else pairs
        if index > layer_index or letter is Input.MLP or not layers[index].parallel:  # there heads' senders share one
            total += mlp_flops(layers[index], live)
        if index > layer_index:
            total += attention_flops(layers[index], live, rows, length)
    return total


def _shared_flops(model: Model, item: BatchActivations, layer_index: int) -> float:
    """A parallel block's MLP on the clean stream into a receiver's layer: once for all senders and receivers."""
    layer = model.parts.layers[layer_index]
    live = _rows(item) if layer_index < model.n_layers - 1 else len(item.batch.pairs)
    return mlp_flops(layer, live) if layer.parallel else 0.0


def _rows(item: BatchActivations) -> int:
    """Rows (pair x position) that a patch can change."""
    pairs, length = item.batch.clean.shape
    return pairs * (length - item.first)


def _reached(model: Model, letter: Input) -> int:
    """Query heads whose z a receiver's input changes."""
    return 1 if letter is Input.Q else model.group


def _gradient_flops(model: Model, item: BatchActivations) -> float:
    pairs, length = item.batch.clean.shape
    return gradient_flops(model.parts, pairs, length, _tokens(model, item))


def _logits_flops(model: Model, item: BatchActivations) -> float:
    return unembed_flops(model.parts, len(item.batch.pairs), _tokens(model, item))


def _tokens(model: Model, item: BatchActivations) -> int:
    """Logits the metric reads."""
    return model.vocab_size if item.readout.tokens is None else len(item.readout.tokens)
