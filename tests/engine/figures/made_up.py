"""Small results to draw, with the shapes the pipeline gives."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from engine.circuit import Circuit, Edge, Input
from engine.heads import Head
from engine.pruning.cliffs import Cliffs, find_cliffs
from engine.pruning.masks import SWEEP_SPARSITIES, keep_mask


@dataclass(frozen=True)
class Sweep:
    score: str
    sparsities: tuple[float, ...]
    sizes: tuple[int, ...]
    performance: tuple[float, ...]
    cliffs: Cliffs


@dataclass(frozen=True)
class Band:
    sparsities: tuple[float, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]
    draws: int


def a_large_circuit(n_heads: int, n_layers: int = 30, per_layer: int = 12, seed: int = 0) -> Circuit:
    """Random heads with about five edges each, all of them upward."""
    rng = Random(seed)
    heads = sorted(rng.sample([Head(i, j) for i in range(n_layers) for j in range(per_layer)], n_heads))
    edges = []
    for sender in heads:
        above = [head for head in heads if head.layer > sender.layer]
        for receiver in rng.sample(above, min(5, len(above))):
            entry = rng.choice([Input.Q, Input.K, Input.V])
            edges.append(Edge(sender, receiver, entry, rng.uniform(-0.9, 0.3)))
        if not above or rng.random() < 0.3:
            edges.append(Edge(sender, None, Input.LOGITS, rng.uniform(-0.9, 0.3)))
    return Circuit(tuple(heads), tuple(edges), n_layers, per_layer)


def some_scores(n_layers: int = 6, n_heads: int = 4, seed: int = 0) -> Tensor:
    """Scores [layer head]."""
    return torch.randn(n_layers, n_heads, generator=torch.Generator().manual_seed(seed))


def a_sweep(scores: Tensor, score: str = "contrastive_flap") -> Sweep:
    """A curve that falls from 100 to 0 % after sparsity .79."""
    performance = tuple(100.0 if sparsity < 0.795 else 0.0 for sparsity in SWEEP_SPARSITIES)
    sizes = tuple(int(keep_mask(scores, sparsity).sum()) for sparsity in SWEEP_SPARSITIES)
    return Sweep(score, SWEEP_SPARSITIES, sizes, performance, find_cliffs(SWEEP_SPARSITIES, performance))


A_BAND = Band((0.0, 0.5), (80.0, -20.0), (90.0, 30.0), (130.0, 60.0), 5)

A_CIRCUIT = Circuit(
    heads=(Head(0, 1), Head(2, 0), Head(2, 3), Head(4, 2)),
    edges=(
        Edge(Head(4, 2), None, Input.LOGITS, -0.8),
        Edge(Head(2, 0), None, Input.LOGITS, 0.1),
        Edge(Head(0, 1), Head(4, 2), Input.Q, -0.4),
        Edge(Head(2, 0), Head(4, 2), Input.K, 0.05, shared=True),
        Edge(Head(2, 3), Head(4, 2), Input.V, -0.79),
    ),
    n_layers=6,
    n_heads=4,
)
