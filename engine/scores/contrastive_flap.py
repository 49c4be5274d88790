"""Contrastive-FLAP ("WIFN", clean against corrupted): how much a head's energy answers to the contrast (METHOD 2.2).

x, W and j as for FLAP; E_j(D) = (1/N) sum_n sum_t x_ntj^2.

1. s_j = (mean_i |W_ij|)^2 * |E_j(clean) - E_j(corrupted)|
2. z-score over the layer's channels, then average over each head's: as for FLAP.

Source: arXiv 2511.05442.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.scores.channels import check_shapes, exactly, head_means, prompt_count


def contrastive_flap_scores(clean: Sequence[Tensor], corrupted: Sequence[Tensor], w_o: Tensor, n_heads: int) -> Tensor:
    """Contrastive-FLAP score of one layer's heads, [head] (float32); arguments as for flap_scores."""
    check_shapes(clean, w_o, n_heads)
    check_shapes(corrupted, w_o, n_heads)
    return head_means(contrastive_weight(w_o) * (_energy(clean) - _energy(corrupted)).abs(), n_heads)


def contrastive_weight(w_o: Tensor) -> Tensor:
    """What Contrastive-FLAP weighs each channel by, (mean_i |W_ij|)^2 of ``w_o [d_model channel]``: ``[channel]``."""
    return exactly(w_o).abs().mean(dim=0).square()


def prompt_energies(z: Tensor) -> Tensor:
    """sum_t x_ntj^2 of each prompt: ``[batch channel]`` of ``z [batch pos channel]``. Their mean is E_j."""
    return exactly(z).square().sum(dim=1)


def _energy(z: Sequence[Tensor]) -> Tensor:
    """E_j [channel]."""
    return torch.stack([prompt_energies(batch).sum(dim=0) for batch in z]).sum(dim=0) / prompt_count(z)
