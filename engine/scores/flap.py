"""FLAP ("WIFV", clean prompts only): how much what a head hands to the output projection varies (METHOD 2.2).

x is the input of the attention output projection (z of all heads, concatenated), W that
projection's weight, j one of its input channels; every token position counts.

1. F_j = (1/N) sum_n sum_t (x_ntj - mu_j)^2,  mu_j the mean over prompts and tokens
   s_j = (F_j * sum_i W_ij^2)^2
2. z-score s_j over the channels of its layer (unbiased std), which makes layers comparable.
3. Average over each head's channels. In this order: the mean of a head's channels before the
   z-score would be divided by another std.

Source: arXiv 2511.05442; the two-pass F_j is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.scores.channels import check_shapes, exactly, head_means, prompt_count


def flap_scores(z: Sequence[Tensor], w_o: Tensor, n_heads: int) -> Tensor:
    """FLAP score of one layer's heads, [head] (float32, in standard deviations of the layer's channels).

    z    clean activations, one [batch pos channel] a batch of equal length, channel = head * d_head
    w_o  output projection [d_model channel]
    """
    check_shapes(z, w_o, n_heads)
    return head_means(flap_channels(z, w_o), n_heads)


def flap_channels(z: Sequence[Tensor], w_o: Tensor) -> Tensor:
    """s_j of each input channel of ``w_o [d_model channel]``: ``[channel]``; arguments as for flap_scores."""
    return (_fluctuation(z) * exactly(w_o).square().sum(dim=0)).square()


def _fluctuation(z: Sequence[Tensor]) -> Tensor:
    """F_j [channel], two passes: first the mean, then the squared distances to it."""
    n_tokens = sum(batch.shape[0] * batch.shape[1] for batch in z)
    mean = torch.stack([exactly(batch).sum(dim=(0, 1)) for batch in z]).sum(dim=0) / n_tokens
    squares = torch.stack([(exactly(batch) - mean).square().sum(dim=(0, 1)) for batch in z])
    return squares.sum(dim=0) / prompt_count(z)
