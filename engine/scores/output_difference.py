"""Paired output difference: how much what a head writes changes from a clean prompt to its corrupted one.

    s_h = mean over prompts and tokens of |W_h (z_clean - z_corrupted)|^2

W_h are the head's columns of the output projection, z its input there. Unlike Contrastive-FLAP, which compares the
energies of the two runs, a head that writes something else of equal size counts. In squared units of the residual
stream, 0 for a head that the contrast does not reach. Ours: METHOD section 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.scores.channels import check_pairs, check_shapes, exactly


def output_difference_scores(
    clean: Sequence[Tensor], corrupted: Sequence[Tensor], w_o: Tensor, n_heads: int
) -> Tensor:
    """Score of one layer's heads, [head] (float32); arguments as for flap_scores, pair by pair alike."""
    check_shapes(clean, w_o, n_heads)
    check_pairs(clean, corrupted)
    columns = exactly(w_o).unflatten(1, (n_heads, -1))
    # |W d|^2 = d' (W'W) d: the projection is squared once, not applied at every token.
    gram = torch.einsum("mhi,mhj->hij", columns, columns)
    total = torch.zeros(n_heads, dtype=torch.float64)
    for one, other in zip(clean, corrupted, strict=True):
        change = (exactly(one) - exactly(other)).unflatten(-1, (n_heads, -1))
        total += torch.einsum("bphi,hij,bphj->h", change, gram, change)
    return (total / sum(batch.shape[0] * batch.shape[1] for batch in clean)).float()
