"""Scores as ranks, and how far two rankings of the same heads agree: pure.

1. Rank 1 is the highest score; heads with equal scores share the mean of the ranks they take up.
2. Spearman's correlation is Pearson's correlation of the two rankings.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ranks(scores: Tensor) -> Tensor:
    """Rank of each score (float64, as shaped as ``scores``); equal scores share their mean rank."""
    _, place, times = scores.flatten().unique(return_inverse=True, return_counts=True)  # ascending
    above = times.flip(0).cumsum(0).flip(0) - times  # scores higher than each value
    return (above + (times + 1) / 2).double()[place].reshape(scores.shape)


def spearman(one: Tensor, other: Tensor) -> float:
    """Rank correlation of two score tensors of one shape, from -1 to 1; NaN if either is constant."""
    if one.shape != other.shape:
        raise ValueError(f"Expected two tensors of one shape, got {list(one.shape)} and {list(other.shape)}.")
    return float(torch.corrcoef(torch.stack([ranks(one).flatten(), ranks(other).flatten()]))[0, 1])
