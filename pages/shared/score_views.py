"""The ways to look at the two head scores as one map, and the heads each of them rings."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.prepare import HeadScores
from engine.pruning import drop_sparsity, keep_mask

TITLES = {"contrastive_flap": "C-FLAP", "flap": "FLAP", "merged": "Merged", "difference": "Difference"}
BAR_NAMES = {
    "contrastive_flap": "C-FLAP (z)",
    "flap": "FLAP (z)",
    "merged": "larger of both (z)",
    "difference": "C-FLAP − FLAP (z)",
}
HELP = "Merged rings every head that either score keeps. Difference shows where the two disagree."


def shown_scores(scores: HeadScores, name: str) -> Tensor:
    """The map's values ``[layer head]``."""
    if name == "merged":
        return torch.maximum(scores.flap, scores.contrastive_flap)
    if name == "difference":
        return scores.contrastive_flap - scores.flap
    return scores.flap if name == "flap" else scores.contrastive_flap


def drops(scores: HeadScores, name: str, flap_sparsity: float | None = None) -> Tensor:
    """The sparsity that drops each head of the ringed mask ``[layer head]``.

    ``flap_sparsity``: FLAP's own in a union, whatever the slider says; 1 for the heads it keeps.
    """
    if name == "merged":  # the union keeps a head as long as either score does
        flap, contrastive = drop_sparsity(scores.flap), drop_sparsity(scores.contrastive_flap)
        if flap_sparsity is not None:
            flap = keep_mask(scores.flap, flap_sparsity).float()
        return torch.maximum(flap, contrastive)
    return drop_sparsity(scores.flap if name == "flap" else scores.contrastive_flap)
