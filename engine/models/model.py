"""A loaded model: its shape, its parts, its hooks and the lock that guards them."""

from __future__ import annotations

import threading
from typing import Any

import torch

from engine.models import bridge
from engine.models.architectures import parts_of
from engine.models.parts import Parts


class Model:
    """One causal LM, ready for scoring and patching.

    ``parts`` only reads weights and may be used from any thread. ``bridge`` is a hooked model, shared
    mutable state: hold ``lock`` from adding the first hook to removing the last, or another thread's
    plain forward comes back patched.
    """

    def __init__(self, name: str, hf_model: Any, tokenizer: Any) -> None:
        """Raises HeadlightError if the architecture's parts are not known."""
        self.name = name
        self.config = hf_model.config
        self.hf_model = hf_model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.parts: Parts = parts_of(hf_model)
        self.lock = threading.RLock()
        self._bridge: Any = None

    @property
    def n_layers(self) -> int:
        return len(self.parts.layers)

    @property
    def n_heads(self) -> int:
        """Query heads a layer."""
        return self.config.num_attention_heads

    @property
    def n_kv_heads(self) -> int:
        return self.parts.layers[0].k.weight.shape[0] // self.d_head

    @property
    def group(self) -> int:
        """Query heads that share one KV head."""
        return self.n_heads // self.n_kv_heads

    @property
    def d_model(self) -> int:
        return self.config.hidden_size

    @property
    def d_head(self) -> int:
        return self.parts.layers[0].d_head

    @property
    def vocab_size(self) -> int:
        return self.parts.unembedding.weight.shape[0]

    @property
    def max_positions(self) -> int:
        """Longest prompt in tokens."""
        return self.config.max_position_embeddings

    @property
    def device(self) -> torch.device:
        """Where activations live; the weights of a block may lie on another (engine/models/devices.py)."""
        return self.parts.unembedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.parts.unembedding.weight.dtype

    @property
    def bridge(self) -> Any:
        """The hooked model, booted at first use; take ``lock`` before touching it."""
        with self.lock:
            if self._bridge is None:
                self._bridge = bridge.boot(self.hf_model, self.tokenizer, self.tokenizer.name_or_path)
            return self._bridge
