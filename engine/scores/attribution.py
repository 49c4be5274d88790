"""Attribution patching: a head's change from clean to corrupted, times how the metric answers to it (first order).

With dz = z_clean - z_corrupted and g = d metric / d z, both of one prompt n and token t of one head:

1. a_nt = sum over the head's channels of dz * g: to first order, what the metric loses by that token's corruption
2. summed       s_h = | (1/N) sum_n sum_t a_nt |   tokens and prompts of opposite sign cancel
   by position  s_h =   (1/N) sum_n sum_t |a_nt|   nothing cancels

In units of the metric. g is taken at the clean prompts, or averaged over the way from the corrupted to the clean
embeddings (integrated gradients), which sees past an activation that is saturated at the clean end:
engine/scoring/attribution.py. Sources: Nanda 2023, attribution patching; Hanna et al. 2024, arXiv 2403.17806
(EAP-IG); the form by position is ours, METHOD section 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.scores.channels import check_pairs, exactly


def token_attributions(clean: Tensor, corrupted: Tensor, gradient: Tensor) -> Tensor:
    """a_nt ``[... batch pos head]`` of z and its gradient, each ``[... batch pos head d_head]``."""
    check_pairs([clean], [corrupted], [gradient])
    return ((exactly(clean) - exactly(corrupted)) * exactly(gradient)).sum(dim=-1)


def attribution_scores(attributions: Sequence[Tensor]) -> Tensor:
    """Summed, ``[layer head]`` (float32), of a_nt ``[layer batch pos head]`` of each batch."""
    total = torch.stack([batch.sum(dim=(1, 2)) for batch in _checked(attributions)]).sum(dim=0)
    return (total / _prompts(attributions)).abs().float()


def position_attribution_scores(attributions: Sequence[Tensor]) -> Tensor:
    """By position, ``[layer head]`` (float32); as for attribution_scores."""
    total = torch.stack([batch.abs().sum(dim=(1, 2)) for batch in _checked(attributions)]).sum(dim=0)
    return (total / _prompts(attributions)).float()


def _prompts(attributions: Sequence[Tensor]) -> int:
    return sum(batch.shape[1] for batch in attributions)


def _checked(attributions: Sequence[Tensor]) -> Sequence[Tensor]:
    if not attributions or _prompts(attributions) == 0:
        raise ValueError("Expected attributions of at least one prompt, got none.")
    return attributions
