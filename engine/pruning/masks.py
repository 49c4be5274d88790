"""Keep masks from head scores (METHOD section 2.3).

1. Sort all H scores in descending order.
2. threshold = sorted[k] with k = argmin_i |(i + 1) - H(1 - p)|, i counted from 0.
3. Keep the scores strictly greater: round(H(1 - p)) - 1 heads, fewer where scores tie at the threshold.

So sparsity 0 keeps H - 1 heads, and a sparsity that leaves one head or none keeps none: that is the
published rule, and what reproduces the sizes in the paper's tables.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.errors import HeadlightError

SWEEP_SPARSITIES: tuple[float, ...] = tuple(percent / 100 for percent in range(100))


def check_sparsity(sparsity: float) -> float:
    """Return ``sparsity`` (heads removed / all heads) if it lies in [0, 1); raises HeadlightError otherwise."""
    if not 0 <= sparsity < 1:
        raise HeadlightError(
            f"Expected a sparsity from 0 (prune nothing) up to, but not including, 1, got {sparsity:g}. "
            "It is the share of heads to remove: 0.8 removes 80 % of them."
        )
    return sparsity


def kept_count(total_heads: int, sparsity: float) -> int:
    """How many of ``total_heads`` heads step 3 keeps when no scores tie."""
    check_sparsity(sparsity)
    # Without rounding, (1 - .85) * 10 = 1.5000000000000002 would leave the tie to noise.
    target = round(total_heads * (1 - sparsity), 9)
    nearest = math.ceil(target - 0.5)  # argmin takes the first, so a tie goes to the smaller number
    return max(nearest, 1) - 1


def keep_mask(scores: Tensor, sparsity: float) -> Tensor:
    """Keep mask [layer head] (bool, True = kept) of scores [layer head] at a sparsity in [0, 1)."""
    ranked = scores.flatten().sort(descending=True).values
    return scores > ranked[kept_count(scores.numel(), sparsity)]


def drop_sparsity(scores: Tensor) -> Tensor:
    """First sparsity of SWEEP_SPARSITIES at which each head is no longer kept, [layer head].

    1 for heads that even the last of them keeps.
    """
    times_kept = torch.stack([keep_mask(scores, sparsity) for sparsity in SWEEP_SPARSITIES]).sum(dim=0)
    # Masks only shrink as sparsity grows, so a head kept n times is dropped at the n-th sparsity.
    return torch.tensor([*SWEEP_SPARSITIES, 1.0])[times_kept]


KEEPERS = ("both", "C-FLAP", "FLAP", "neither")


def kept_by(flap_kept: Tensor, contrastive_kept: Tensor) -> list[str]:
    """For each head in layer order, which of KEEPERS two keep masks [layer head] make it."""
    pairs = zip(flap_kept.flatten().tolist(), contrastive_kept.flatten().tolist(), strict=True)
    return ["both" if f and c else "C-FLAP" if c else "FLAP" if f else "neither" for f, c in pairs]
