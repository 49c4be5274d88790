"""Causal attention over a window of query positions, for all heads or one head alone."""

from __future__ import annotations

import torch
from torch import Tensor


def pattern(q: Tensor, k: Tensor, scale: float, softcap: float | None = None, window: int | None = None) -> Tensor:
    """Attention probabilities ``[... kv_head group qpos kpos]``, causal, rows sum to 1.

    ``q [... qpos head d_head]`` holds the last ``qpos`` positions of ``k [... kpos kv_head d_head]``
    (rotary already applied); head h reads KV head h // group. With a ``window`` a query sees that many
    keys at most, the last of them at its own position.
    """
    n_queries, n_keys, n_kv = q.shape[-3], k.shape[-3], k.shape[-2]
    q = q.unflatten(-2, (n_kv, -1)).movedim(-4, -2)  # ... kv_head group qpos d_head
    k = k.movedim(-3, -1).unsqueeze(-3)  # ... kv_head 1 d_head kpos
    scores = torch.matmul(q * scale, k)
    if softcap is not None:
        scores = softcapped(scores, softcap)
    query_positions = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    key_positions = torch.arange(n_keys, device=q.device)
    hidden = key_positions > query_positions
    if window is not None:
        hidden |= key_positions <= query_positions - window
    return scores.masked_fill_(hidden, float("-inf")).softmax(dim=-1)


def softcapped(x: Tensor, cap: float) -> Tensor:
    """``cap * tanh(x / cap)``: nearly ``x`` where that is small, never beyond ``cap``."""
    return torch.tanh(x / cap) * cap


def mix(probabilities: Tensor, v: Tensor) -> Tensor:
    """z ``[... qpos head d_head]`` for a pattern ``[... kv_head group qpos kpos]`` and values."""
    values = v.movedim(-3, -2).unsqueeze(-3)  # ... kv_head 1 kpos d_head
    z = torch.matmul(probabilities, values)  # ... kv_head group qpos d_head
    return z.movedim(-2, -4).flatten(-3, -2)
