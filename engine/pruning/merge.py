"""Unions of FLAP and Contrastive-FLAP keep masks, and the one to search in (METHOD section 2.6).

1. {first, biggest, fixed} cliff of FLAP x the same of Contrastive-FLAP: nine unions, each with its
   size and its performance by mean ablation of all other heads.
2. Take the smallest union with performance >= 75 % and size <= H/2, else the knee of their Pareto
   front: see ``engine/pruning/pareto.py``. A person may take another, by its name: ``first+biggest`` is FLAP's
   first cliff with Contrastive-FLAP's biggest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from engine.errors import HeadlightError
from engine.pruning.cliffs import Cliff, CliffKind, Cliffs
from engine.pruning.masks import keep_mask
from engine.pruning.pareto import good_enough, smallest_good_enough

UNION_NAMES = tuple(f"{flap.value}+{contrastive.value}" for flap, contrastive in product(CliffKind, CliffKind))


@dataclass(frozen=True, eq=False)
class Merge:
    """The union of two keep masks [layer head]; ``performance`` in percent."""

    flap_cliff: Cliff
    contrastive_cliff: Cliff
    mask: Tensor
    size: int
    performance: float

    @property
    def name(self) -> str:
        """One of UNION_NAMES."""
        return f"{self.flap_cliff.kind.value}+{self.contrastive_cliff.kind.value}"


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
    best, reason = smallest_good_enough(measured, largest_union(total_heads), "union", "half of all heads")
    return Choice(best, reason)


def largest_union(total_heads: int) -> int:
    """The most heads a union may have to be chosen for its performance: half of all."""
    return total_heads // 2


def meets_rule(merge: Merge, total_heads: int) -> bool:
    """Whether a union keeps enough of the performance and is small enough."""
    return good_enough(merge, largest_union(total_heads))


def union_words(name: str) -> str:
    """``first+biggest`` as people read it: ``first + biggest``."""
    return name.replace("+", " + ")


def check_union(name: str) -> str:
    """Return ``name`` if it names a union; raises HeadlightError otherwise."""
    if name not in UNION_NAMES:
        raise HeadlightError(
            f"Expected a union named by a FLAP and a Contrastive-FLAP cliff, one of {', '.join(UNION_NAMES)}, got "
            f"{name!r}."
        )
    return name
