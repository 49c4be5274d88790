"""Which heads, and MLPs where they are nodes, a search may use: senders and receivers (METHOD sections 2.3 and 2.6).

1. All of them if dense; at a given sparsity those its score keeps; else the union that the sparsity sweep chose or that
   is named.
2. MLPs are kept by their own scores (engine/scoring/mlp_scores.py), at the sparsities that heads are kept at.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.nodes import with_mlps
from engine.prepare import Prepared
from engine.pruning.cliffs import FIXED_SPARSITY
from engine.pruning.sparsity_sweep import Pruning
from engine.scores.kinds import Score, Source
from engine.settings import Method, Settings


def keep_of(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """Keep mask ``[layer head]`` the search is confined to; ``[layer column]`` where MLPs are nodes."""
    keep = _heads_kept(prepared, settings, pruning)
    return with_mlps(keep, _mlps_kept(prepared, settings, pruning)) if settings.mlps else keep


def _heads_kept(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """``[layer head]``"""
    if settings.method is Method.DENSE:
        return torch.ones_like(prepared.scores.flap, dtype=torch.bool)
    if settings.sparsity is not None:
        return prepared.scores.keep(settings.score, settings.sparsity, settings.flap_sparsity)
    if pruning is None:
        raise ValueError("An automatic sparsity needs the sparsity sweep first")
    return pruning.taken(settings.union).mask


def _mlps_kept(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """``[layer]``: by their own scores, at the sparsities that heads are kept at."""
    if prepared.mlp_scores is None:
        raise ValueError("Expected a run prepared with MLPs as nodes")
    if settings.method is Method.DENSE:
        return torch.ones(prepared.model.n_layers, dtype=torch.bool)
    if settings.sparsity is not None:
        return prepared.mlp_scores.keep(settings.score, settings.sparsity)
    if pruning is None:
        raise ValueError("An automatic sparsity needs the sparsity sweep first")
    union = pruning.taken(settings.union)
    return prepared.mlp_scores.keep_either(union.flap_cliff.sparsity, union.contrastive_cliff.sparsity)


def likely_keep(prepared: Prepared, settings: Settings, pruning: Pruning | None) -> Tensor:
    """``keep_of``; or, before the automatic choice is known, the union of both masks at the fixed sparsity.

    Before the score of a mask has been measured, Contrastive-FLAP's of the same sparsity stands in for it; before MLPs
    are scored, all of them are likely.
    """
    if settings.mlps and prepared.mlp_scores is None:
        heads = likely_keep(prepared, replace(settings, mlps=False), pruning)
        return with_mlps(heads, heads.new_ones(len(heads)))
    if settings.score_source is not Source.RUNS and not prepared.scores.has(settings.score):
        return keep_of(prepared, replace(settings, score=Score.CONTRASTIVE_FLAP), pruning)
    if settings.method is Method.APP and settings.sparsity is None and pruning is None:
        fixed = replace(settings, score=Score.MERGED, sparsity=FIXED_SPARSITY, union=None)
        return keep_of(prepared, fixed, None)
    return keep_of(prepared, settings, pruning)
