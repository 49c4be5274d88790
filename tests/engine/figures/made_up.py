"""Small results to draw, with the shapes the pipeline gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.circuit import Circuit, Edge, Input
from engine.cliffs import Cliffs, find_cliffs
from engine.heads import Head
from engine.pruning import SWEEP_SPARSITIES, keep_mask


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
