"""How fast this machine runs a model's matmuls: the unit in which time is estimated before a run."""

from __future__ import annotations

import time

import torch

from engine.cost.ledger import mlp_flops
from engine.models.model import Model

# Work of one trial: long enough to time, short enough not to be noticed.
TRIAL_FLOPS = 1e10
TRIALS = 3


@torch.no_grad()
def flops_per_second(model: Model, rows: int) -> float:
    """Best of a few runs of one layer's norms and MLP on a chunk of ``rows``; fast models only."""
    parts = model.parts
    layer = parts.layers[len(parts.layers) // 2]
    rows = int(min(rows, max(16, TRIAL_FLOPS / mlp_flops(layer, 1))))
    stream = torch.randn(rows, model.d_model, device=model.device, dtype=model.dtype)
    nothing = torch.zeros_like(stream)
    best = min(_seconds(lambda: layer.output(stream, nothing), model.device) for _ in range(TRIALS))
    return mlp_flops(layer, rows) / best


def _seconds(work, device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return max(time.perf_counter() - began, 1e-9)
