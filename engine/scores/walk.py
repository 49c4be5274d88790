"""The search's own rule as a head score: how far its threshold could rise before it loses the head (ours).

Given a score of every edge (engine/eap.py), in units of f:

1. A receiver's edges make its threshold as in a search (METHOD section 2.7); an edge's ratio is its |score| / threshold
   of the sender's layer. Where no edge reaches the smallest effect that counts there is no threshold: its ratio is
   |score| / twice that effect, below one half.
2. The search finds a head if a way leads from the logits to it along which every ratio is above 1. With all thresholds
   raised by a factor c it would still find it if every ratio is above c. So
       s_h = the largest, over all ways from the logits to h, of the smallest ratio along the way.
3. From the last layer down, s_h = max over receivers r of min(s_r, ratio of the edge h -> r); the logits have no s of
   their own; k and v of a KV head have the largest s of its group.

In units of the threshold: above 1 are the heads a search by these edge scores alone would take.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.circuit import Input
from engine.patching.receiver import LOGITS, Receiver
from engine.search import LOGITS_THRESHOLD_SCALE, Thresholds, layer_thresholds


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
