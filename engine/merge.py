"""Unions of FLAP and Contrastive-FLAP keep masks, and the one to search in (METHOD section 2.6).

1. {first, biggest, fixed} cliff of FLAP x the same of Contrastive-FLAP: nine unions, each with its
   size and its performance by mean ablation of all other heads.
2. Take the smallest union with performance >= 75 % and size <= H/2, else the knee of their Pareto
   front: see ``engine/pareto.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from engine.cliffs import Cliff, Cliffs
from engine.errors import HeadlightError
from engine.pareto import smallest_good_enough
from engine.pruning import keep_mask


@dataclass(frozen=True, eq=False)
class Merge:
    """The union of two keep masks [layer head]; ``performance`` in percent."""

    flap_cliff: Cliff
    contrastive_cliff: Cliff
    mask: Tensor
    size: int
    performance: float


@dataclass(frozen=True, eq=False)
class Choice:
    """The union taken, and why, in words."""

    merge: Merge
    reason: str


def nine_merges(
    flap: Tensor,
    contrastive_flap: Tensor,
    flap_cliffs: Cliffs,
    contrastive_cliffs: Cliffs,
    evaluate: Callable[[Tensor], float],
) -> tuple[Merge, ...]:
    """All nine unions for scores [layer head]; unions that coincide are all listed.

    ``evaluate`` gives the performance (percent) of a keep mask; it is slow, so it is called once for
    each distinct mask.
    """
    known: dict[tuple[bool, ...], float] = {}
    merges = []
    for flap_cliff, contrastive_cliff in product(flap_cliffs.all(), contrastive_cliffs.all()):
        mask = keep_mask(flap, flap_cliff.sparsity) | keep_mask(contrastive_flap, contrastive_cliff.sparsity)
        key = tuple(mask.flatten().tolist())
        if key not in known:
            known[key] = evaluate(mask)
        merges.append(Merge(flap_cliff, contrastive_cliff, mask, int(mask.sum()), known[key]))
    return tuple(merges)


def choose(merges: Sequence[Merge], total_heads: int) -> Choice:
    """The union to search in, of a model with ``total_heads`` heads; raises HeadlightError if none was measured."""
    measured = [merge for merge in merges if math.isfinite(merge.performance)]
    if not measured:
        raise HeadlightError(
            "None of the nine unions has a finite performance: the model's logit difference on the clean prompts is "
            "zero or not a number. Choose a task the model can do, or set a sparsity yourself."
        )
    best, reason = smallest_good_enough(measured, total_heads // 2, "union", "half of all heads")
    return Choice(best, reason)
