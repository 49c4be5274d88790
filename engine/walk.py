"""The walk by estimates: which heads a dense search would take, foretold before there is a mask.

1. Every edge among all heads by first order (engine/eap.py): one sweep of all heads, one backward pass.
2. The search's rule at the usual thresholds, as a score (engine/scores/walk.py).

It takes what a dense search's sweep takes, which is dear for a score: what its mask saves is everything after that,
most of all in exact mode.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.cost import Ledger
from engine.eap import edge_scores
from engine.errors import HeadlightError
from engine.heads import Head, heads_of
from engine.models.model import Model
from engine.patching.effects import Tick
from engine.patching.flops import attribution_flops
from engine.prepare import Prepared
from engine.scores.walk import walk_scores
from engine.search import Thresholds
from engine.settings import Settings

USUAL = Thresholds(Settings.threshold_scale, Settings.min_effect)


def measure_walk(prepared: Prepared, ledger: Ledger, tick: Tick) -> Tensor:
    """Score ``[layer head]``; raises HeadlightError for a model whose parts are not known, Cancelled by ``tick``."""
    model = prepared.model
    if not model.fast:
        raise HeadlightError(
            f"The walk by estimates is not available for {model.name}: its parts are not known to the fast path. "
            "Choose another head score, such as integrated attribution."
        )
    edges = edge_scores(model, prepared.activations, _everyone(model), ledger, prepared.memory, tick)
    return walk_scores(edges, model.group, USUAL)


def walk_flops(prepared: Prepared) -> float:
    """What ``measure_walk`` will book."""
    stages = attribution_flops(prepared.model, prepared.activations.batches, _everyone(prepared.model), 1)
    return sum(stages.values())


def _everyone(model: Model) -> tuple[Head, ...]:
    return heads_of(torch.ones(model.n_layers, model.n_heads, dtype=torch.bool))
