"""Scores made of other scores, by the order these put the heads in.

1. Rank sum: the lower the sum of a head's ranks, the higher it comes; of equal sums the one the first score prefers.
2. Union at equal size: the best of each score in turn, a head that is in already skipped, until there are k.
   So its best k heads are a union of the scores' masks that has k heads, for every k.

Both are orders without ties, told as the share of the other heads that come after: 1 the first head, 0 the last.
Heads that all scores hold equal come in layer order. Ours; ranks put scores of any unit side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.scores.ranking import ranks


def rank_sum(scores: Sequence[Tensor]) -> Tensor:
    """Order by the sum of the ranks in each of ``scores [layer head]``: ``[layer head]``."""
    _check(scores)
    each = [ranks(score).flatten() for score in scores]
    first = each[0].argsort(stable=True)
    total = torch.stack(each).sum(dim=0)
    return _as_scores(first[total[first].argsort(stable=True)], scores[0])


def equal_union(scores: Sequence[Tensor]) -> Tensor:
    """Order that takes the best of each of ``scores [layer head]`` in turn: ``[layer head]``."""
    _check(scores)
    queues = [iter(score.flatten().argsort(descending=True, stable=True).tolist()) for score in scores]
    order: dict[int, None] = {}
    while len(order) < scores[0].numel():
        for queue in queues:
            taken = next((head for head in queue if head not in order), None)
            if taken is not None:
                order[taken] = None
    return _as_scores(torch.tensor(list(order)), scores[0])


def _as_scores(order: Tensor, like: Tensor) -> Tensor:
    """Heads by number, best first, as scores shaped ``like`` (float32)."""
    places = torch.empty(like.numel())
    places[order] = torch.arange(like.numel(), dtype=torch.float32)
    return (1 - places / max(1, like.numel() - 1)).reshape(like.shape)


def _check(scores: Sequence[Tensor]) -> None:
    shapes = {tuple(score.shape) for score in scores}
    if len(shapes) != 1:
        raise ValueError(f"Expected scores [layer head] of one shape, got {sorted(shapes) or 'none'}.")
