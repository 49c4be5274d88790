"""Head scores before any patching: FLAP and Contrastive-FLAP (METHOD section 2.2).

x is the input of the attention output projection (z of all heads, concatenated), W that
projection's weight, j one of its input channels; every token position counts.

1. FLAP ("WIFV", clean prompts only)
       F_j = (1/N) sum_n sum_t (x_ntj - mu_j)^2,  mu_j the mean over prompts and tokens
       s_j = (F_j * sum_i W_ij^2)^2
   Contrastive-FLAP ("WIFN", clean against corrupted)
       E_j(D) = (1/N) sum_n sum_t x_ntj^2
       s_j = (mean_i |W_ij|)^2 * |E_j(clean) - E_j(corrupted)|
2. z-score s_j over the channels of its layer (unbiased std), which makes layers comparable.
3. Average over each head's channels. In this order: the mean of a head's channels before the
   z-score would be divided by another std.

Sums run in float64 on the CPU: squares of half-precision activations overflow, and the order of
the prompts must not change a rank. Source: arXiv 2511.05442; the two-pass F_j is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# A layer whose channels differ by less than this share of the largest is "all equal up to rounding".
FLAT = 1e-12


def flap_scores(z: Sequence[Tensor], w_o: Tensor, n_heads: int) -> Tensor:
    """FLAP score of one layer's heads, [head] (float32, in standard deviations of the layer's channels).

    z    clean activations, one [batch pos channel] a batch of equal length, channel = head * d_head
    w_o  output projection [d_model channel]
    """
    _check_shapes(z, w_o, n_heads)
    return head_means(flap_channels(z, w_o), n_heads)


def flap_channels(z: Sequence[Tensor], w_o: Tensor) -> Tensor:
    """FLAP's s_j of each input channel of ``w_o [d_model channel]``: ``[channel]``; arguments as for flap_scores."""
    return (_fluctuation(z) * _sum_dtype(w_o).square().sum(dim=0)).square()


def contrastive_flap_scores(clean: Sequence[Tensor], corrupted: Sequence[Tensor], w_o: Tensor, n_heads: int) -> Tensor:
    """Contrastive-FLAP score of one layer's heads, [head] (float32); arguments as for flap_scores."""
    _check_shapes(clean, w_o, n_heads)
    _check_shapes(corrupted, w_o, n_heads)
    return head_means(contrastive_weight(w_o) * (_energy(clean) - _energy(corrupted)).abs(), n_heads)


def contrastive_weight(w_o: Tensor) -> Tensor:
    """What Contrastive-FLAP weighs each channel by, (mean_i |W_ij|)^2 of ``w_o [d_model channel]``: ``[channel]``."""
    return _sum_dtype(w_o).abs().mean(dim=0).square()


def prompt_energies(z: Tensor) -> Tensor:
    """sum_t x_ntj^2 of each prompt: ``[batch channel]`` of ``z [batch pos channel]``. Their mean is E_j."""
    return _sum_dtype(z).square().sum(dim=1)


def _fluctuation(z: Sequence[Tensor]) -> Tensor:
    """F_j [channel], two passes: first the mean, then the squared distances to it."""
    n_tokens = sum(batch.shape[0] * batch.shape[1] for batch in z)
    mean = torch.stack([_sum_dtype(batch).sum(dim=(0, 1)) for batch in z]).sum(dim=0) / n_tokens
    squares = torch.stack([(_sum_dtype(batch) - mean).square().sum(dim=(0, 1)) for batch in z])
    return squares.sum(dim=0) / _n_prompts(z)


def _energy(z: Sequence[Tensor]) -> Tensor:
    """E_j [channel]."""
    squares = torch.stack([_sum_dtype(batch).square().sum(dim=(0, 1)) for batch in z])
    return squares.sum(dim=0) / _n_prompts(z)


def head_means(channel_scores: Tensor, n_heads: int) -> Tensor:
    """z-score ``[... channel]`` over the layer, then average per head: ``[... head]``. A flat layer scores 0."""
    if channel_scores.shape[-1] == 1:
        return channel_scores.new_zeros(channel_scores.shape).float()
    spread = channel_scores.std(dim=-1, correction=1, keepdim=True)
    z_scores = (channel_scores - channel_scores.mean(dim=-1, keepdim=True)) / spread
    flat = spread <= FLAT * channel_scores.abs().amax(dim=-1, keepdim=True)
    return z_scores.masked_fill(flat, 0.0).unflatten(-1, (n_heads, -1)).mean(dim=-1).float()


def _n_prompts(z: Sequence[Tensor]) -> int:
    return sum(batch.shape[0] for batch in z)


def _sum_dtype(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)


def _check_shapes(z: Sequence[Tensor], w_o: Tensor, n_heads: int) -> None:
    channels = w_o.shape[1]
    if not z or _n_prompts(z) == 0:
        raise ValueError("Expected activations of at least one prompt, got none.")
    if channels % n_heads:
        raise ValueError(f"Expected channels in equal shares for {n_heads} heads, got {channels} channels.")
    for batch in z:
        if batch.ndim != 3 or batch.shape[2] != channels:
            raise ValueError(f"Expected activations [batch pos {channels}], got {list(batch.shape)}.")
