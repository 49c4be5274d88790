"""The n strongest edges that hang together, and the search they amount to (EAP's greedy search, Syed et al. 2023).

1. The logits are in the circuit. An edge may be taken while its receiver is: the logits, or an input of a head of
   the circuit. k and v belong to a KV head, which is in as soon as one query head of its group is.
2. Of the edges that may be taken, the one with the largest |score| is; its sender joins, and opens its own q, k and
   v as receivers. Equal scores: the higher receiver first, q before k before v, then the lower sender.
3. Until n edges are taken or none is left. An edge of a KV head counts once, whoever shares it. A score of 0 is no
   edge.

Scores come from anywhere; nothing here knows a model.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.circuit import Input
from engine.cost.ledger import CostRow
from engine.errors import HeadlightError
from engine.heads import Head
from engine.patching.receiver import LOGITS, Receiver
from engine.search.path_patching import SearchResult, SearchStep, circuit_of

Place = tuple[float, bool, Head, Input]
LOGITS_PLACE: Place = (-math.inf, False, Head(0, 0), Input.LOGITS)


@dataclass
class _Taken:
    """One receiver of the circuit: the query heads it stands for, and the senders taken."""

    heads: list[Head] = field(default_factory=list)
    senders: list[Head] = field(default_factory=list)


def top_edges(scores: Mapping[Receiver, Tensor], n: int, group: int, spent: CostRow | None = None) -> SearchResult:
    """The search that takes the ``n`` strongest edges of ``scores [layer head]`` by receiver, NaN where none leads.

    ``group``: query heads that share a KV head; k and v are scored under the first head of their group.
    A step for each receiver of the circuit. Its thresholds are the smallest |score| taken there, infinite where none
    was. ``spent``: what scoring took, all before the first step.
    """
    if n < 1:
        raise HeadlightError(f"Expected at least 1 edge to take, got {n}. Ask for 10 to 1000.")
    taken = _take(scores, n, group)
    steps = tuple(
        _step(receiver, taken[receiver], scores[receiver], spent) for receiver in sorted(taken, key=_place)
    )
    shape = scores[LOGITS].shape
    return SearchResult(circuit_of((edge for step in steps for edge in step.edges), *shape), steps, complete=True)


def _take(scores: Mapping[Receiver, Tensor], n: int, group: int) -> dict[Receiver, _Taken]:
    """Senders taken of every receiver that came into the circuit."""
    taken = {LOGITS: _Taken()}
    queue = _candidates(LOGITS, scores[LOGITS])
    heapq.heapify(queue)
    heads: set[Head] = set()
    for _ in range(n):
        if not queue:
            break
        _, _, sender, receiver = heapq.heappop(queue)
        taken[receiver].senders.append(sender)
        if sender in heads:
            continue
        heads.add(sender)
        for opened in _inputs_of(sender, group):
            if opened in scores:  # nothing lies below the first layer
                if opened not in taken:
                    taken[opened] = _Taken()
                    for candidate in _candidates(opened, scores[opened]):
                        heapq.heappush(queue, candidate)
                taken[opened].heads.append(sender)
    return taken


def _candidates(receiver: Receiver, scores: Tensor) -> list[tuple[float, Place, Head, Receiver]]:
    """Its edges as a heap orders them: the strongest first."""
    found = scores.nan_to_num()
    place = _place(receiver)
    return [
        (-abs(float(found[layer, index])), place, Head(layer, index), receiver)
        for layer, index in found.nonzero().tolist()
    ]


def _inputs_of(head: Head, group: int) -> tuple[Receiver, Receiver, Receiver]:
    shared = Head(head.layer, head.index // group * group)
    return Receiver(Input.Q, head), Receiver(Input.K, shared), Receiver(Input.V, shared)


def _place(receiver: Receiver) -> Place:
    """Where a receiver stands in the search: logits, then layers downwards, q of all heads before k and v of each."""
    if receiver.head is None:
        return LOGITS_PLACE
    assert isinstance(receiver.head, Head)
    return -receiver.head.layer, receiver.input is not Input.Q, receiver.head, receiver.input


def _step(receiver: Receiver, taken: _Taken, scores: Tensor, spent: CostRow | None) -> SearchStep:
    smallest = min((abs(float(scores[s.layer, s.index])) for s in taken.senders), default=math.inf)
    limits = torch.full((len(scores),), math.inf, dtype=torch.float64)
    limits[: len(scores) if receiver.head is None else receiver.head.layer] = smallest
    return SearchStep(
        receivers=tuple(sorted(taken.heads)),
        input=receiver.input,
        effects=scores,
        estimated=~scores.isnan(),
        thresholds=limits,
        important=tuple(sorted(taken.senders)),
        spent=spent,
    )
