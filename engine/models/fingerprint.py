"""Which weights a model has, in a few characters: two models of one name are told apart by them.

1. The config, and the name, shape and dtype of every weight.
2. Of each weight a few entries, evenly spread: training moves all of them, so a sample tells as much as a hash of all.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch

ENTRIES = 16  # of each weight


@torch.no_grad()
def fingerprint(hf_model: Any) -> str:
    """16 hex digits of a model as transformers loads it: hooks rename its weights and take some apart."""
    digest = hashlib.sha256(hf_model.config.to_json_string().encode())
    for name, weight in sorted(hf_model.named_parameters()):
        flat = weight.flatten()
        places = torch.linspace(0, len(flat) - 1, min(ENTRIES, len(flat)), dtype=torch.float64).long().to(flat.device)
        digest.update(f"{name} {list(weight.shape)} {weight.dtype} {flat[places].float().tolist()}".encode())
    return digest.hexdigest()[:16]
