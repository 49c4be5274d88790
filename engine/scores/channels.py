"""What scores share: sums in float64 on the CPU, checked shapes, and channel scores brought to heads.

Squares of half-precision activations overflow, and the order of the prompts must not change a rank.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# A layer whose channels differ by less than this share of the largest is "all equal up to rounding".
FLAT = 1e-12


def head_means(channel_scores: Tensor, n_heads: int) -> Tensor:
    """z-score ``[... channel]`` over the layer, then average per head: ``[... head]``. A flat layer scores 0."""
    if channel_scores.shape[-1] == 1:
        return channel_scores.new_zeros(channel_scores.shape).float()
    spread = channel_scores.std(dim=-1, correction=1, keepdim=True)
    z_scores = (channel_scores - channel_scores.mean(dim=-1, keepdim=True)) / spread
    flat = spread <= FLAT * channel_scores.abs().amax(dim=-1, keepdim=True)
    return z_scores.masked_fill(flat, 0.0).unflatten(-1, (n_heads, -1)).mean(dim=-1).float()


def prompt_count(z: Sequence[Tensor]) -> int:
    """Prompts in batches ``[batch pos ...]``."""
    return sum(batch.shape[0] for batch in z)


def exactly(tensor: Tensor) -> Tensor:
    """``tensor`` as sums are taken of it."""
    return tensor.detach().to("cpu", torch.float64)


def check_shapes(z: Sequence[Tensor], w_o: Tensor, n_heads: int) -> None:
    """Raises ValueError unless every batch is ``[batch pos channel]`` with the channels of ``w_o [d_model channel]``,
    which the heads share equally."""
    channels = w_o.shape[1]
    if not z or prompt_count(z) == 0:
        raise ValueError("Expected activations of at least one prompt, got none.")
    if channels % n_heads:
        raise ValueError(f"Expected channels in equal shares for {n_heads} heads, got {channels} channels.")
    for batch in z:
        if batch.ndim != 3 or batch.shape[2] != channels:
            raise ValueError(f"Expected activations [batch pos {channels}], got {list(batch.shape)}.")


def check_pairs(clean: Sequence[Tensor], *others: Sequence[Tensor]) -> None:
    """Raises ValueError unless the batches of all hold the same pairs, position by position."""
    shapes = [[list(batch.shape) for batch in batches] for batches in (clean, *others)]
    if not shapes[0]:
        raise ValueError("Expected activations of at least one prompt, got none.")
    for other in shapes[1:]:
        if other != shapes[0]:
            raise ValueError(f"Expected batches of the same pairs, shaped {shapes[0]}, got {other}.")
