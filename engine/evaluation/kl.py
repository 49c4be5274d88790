"""How far the circuit's predictions are from the model's: the Kullback-Leibler divergence, in nats.

KL(model || circuit) = Σ_v p_model(v) · (ln p_model(v) - ln p_circuit(v)) over the whole vocabulary at the end position
of the clean prompt, then the mean over pairs. 0: the same prediction; it has no upper end. Unlike the metric it also
sees what happens to all other tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor


def kl_divergence(model: Tensor, circuit: Tensor) -> Tensor:
    """``[...]`` in nats of logits ``[... vocab]``."""
    expected, given = model.double().log_softmax(dim=-1), circuit.double().log_softmax(dim=-1)
    # A token of probability 0 adds 0, whatever the other side gives it.
    terms = torch.where(expected.isneginf(), 0.0, expected.exp() * (expected - given))
    return terms.sum(dim=-1)
