"""The walk by estimates: the search's own rule as a head score, which foretells what a dense search would take (ours).

1. Every edge among all heads by first order (engine/search/eap.py), in units of f: one sweep of all heads, one
   backward pass.
2. A receiver's edges make its threshold as in a search (METHOD section 2.7); an edge's ratio is its |score| / threshold
   of the sender's layer. Where no edge reaches the smallest effect that counts there is no threshold: its ratio is
   |score| / twice that effect, below one half.
3. The search finds a head if a way leads from the logits to it along which every ratio is above 1. With all thresholds
   raised by a factor c it would still find it if every ratio is above c. So
       s_h = the largest, over all ways from the logits to h, of the smallest ratio along the way.
4. From the last layer down, s_h = max over receivers r of min(s_r, ratio of the edge h -> r); the logits have no s of
   their own; k and v of a KV head have the largest s of its group.

In units of the threshold: above 1 are the heads a search by these edge scores alone would take. It takes what a dense
search's sweep takes, which is dear for a score: what its mask saves is all that comes after, most of it in exact mode.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.errors import HeadlightError
from engine.heads import Head, heads_of
from engine.models.model import Model
from engine.patching.effects import Tick
from engine.patching.flops import attribution_flops
from engine.patching.receiver import LOGITS, Receiver
from engine.prepare import Prepared
from engine.search.eap import edge_scores
from engine.search.path_patching import LOGITS_THRESHOLD_SCALE, Thresholds, layer_thresholds
from engine.settings import Settings

USUAL = Thresholds(Settings.threshold_scale, Settings.min_effect)


def measure_walk(prepared: Prepared, ledger: Ledger, tick: Tick) -> Tensor:
    """Score ``[layer head]``; raises HeadlightError for a model whose parts are not known, Cancelled by ``tick``."""
    model = prepared.model
    if not model.fast:
        raise HeadlightError(
            f"The walk by estimates is not available for {model.name}: its parts are not known to the fast path. "
            "Choose another head score, such as integrated attribution."
        )
    edges = edge_scores(model, prepared.activations, _everyone(model), ledger, prepared.memory, tick)
    return walk_scores(edges, model.group, USUAL)


def walk_flops(prepared: Prepared) -> float:
    """What ``measure_walk`` will book."""
    stages = attribution_flops(prepared.model, prepared.activations.batches, _everyone(prepared.model), 1)
    return sum(stages.values())


def walk_scores(edges: Mapping[Receiver, Tensor], group: int, thresholds: Thresholds) -> Tensor:
    """Score ``[layer head]`` (float32) of ``edges``: [layer head] by receiver, NaN where no edge leads.

    ``group``: query heads of a KV head, whose k and v stand under the group's first head.
    """
    first = Thresholds(LOGITS_THRESHOLD_SCALE, thresholds.min_effect)
    found = _ratios(edges[LOGITS], len(edges[LOGITS]), first)
    receivers = [(receiver.head, receiver) for receiver in edges if receiver.head is not None]
    for head, receiver in sorted(receivers, key=lambda pair: pair[0].layer, reverse=True):
        members = 1 if receiver.input is Input.Q else group
        own = found[head.layer, head.index : head.index + members].max()
        found = torch.maximum(found, torch.minimum(own, _ratios(edges[receiver], head.layer, thresholds)))
    return found.float()


def _ratios(scores: Tensor, top: int, thresholds: Thresholds) -> Tensor:
    """Each edge's |score| in units of what it must exceed, ``[layer head]``; 0 where no edge leads."""
    size = scores.nan_to_num().abs().double()
    limits = layer_thresholds(scores, top, thresholds)
    if limits.isinf().all():
        return size / (2 * thresholds.min_effect)
    return size / limits[:, None]


def _everyone(model: Model) -> tuple[Head, ...]:
    return heads_of(torch.ones(model.n_layers, model.n_heads, dtype=torch.bool))
