"""A loaded model: its shape, its parts or hooks, and the lock that guards the hooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.models import bridge
from engine.models.architectures import known_parts, parts_of
from engine.models.fingerprint import fingerprint
from engine.models.flops import MatmulCounter
from engine.models.hooks import inspect
from engine.models.parts import Parts
from engine.models.shape import shape_of_parts


class Model:
    """One causal LM, ready for scoring and patching.

    ``parts`` only reads weights and may be used from any thread. ``bridge`` is a hooked model, shared
    mutable state: hold ``lock`` from adding the first hook to removing the last (``hooking`` does), or
    another thread's plain forward comes back patched. A model whose parts are not known has the hooks alone.
    """

    def __init__(self, name: str, hf_model: Any, tokenizer: Any, hooked: bool = False) -> None:
        """``hooked``: use the hooks alone even where the parts are known.

        Raises HeadlightError if neither parts nor hooks serve this architecture.
        """
        self.name = name
        self.config = hf_model.config
        self.hf_model = hf_model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.lock = threading.RLock()
        self._bridge: Any = None
        self._fingerprint: str | None = None
        self._pass_flops: dict[int, float] = {}
        self._parts, self._output_weights = None, None
        if hooked or not known_parts(self.config):
            found = inspect(name, self.hf_model, lambda: self.bridge)
            self.shape, self._output_weights = found.shape, found.output_weights
        else:
            self._parts = parts_of(hf_model)
            self.shape = shape_of_parts(self._parts, self.config)

    @property
    def fast(self) -> bool:
        """Whether the parts are known; else every stage runs hooked forwards."""
        return self._parts is not None

    @property
    def parts(self) -> Parts:
        """Raises HeadlightError for a model that has only hooks: what asks for parts is not available there."""
        if self._parts is None:
            raise HeadlightError(
                f"This is not available for {self.name}: it needs the parts of the model, and those of this "
                f"{self.config.model_type} model are not known to the fast path. Choose another architecture."
            )
        return self._parts

    @property
    def note(self) -> str:
        """A sentence about how this model is run; empty if there is nothing to say."""
        if self.fast:
            return ""
        return (
            f"{self.config.model_type}: its parts are not known to the fast path, so every path runs through hooked "
            "forwards: exact, but slow."
        )

    @property
    def fingerprint(self) -> str:
        """16 hex digits of its weights: those of another model, or of this one trained further, differ."""
        with self.lock:
            if self._fingerprint is None:
                self._fingerprint = fingerprint(self.hf_model)
            return self._fingerprint

    def output_weight(self, layer: int) -> Tensor:
        """The attention output projection of a layer, ``[d_model head·d_head]``, where z lies."""
        weight = self._output_weights[layer] if self._output_weights else self.parts.layers[layer].o.weight
        return weight.to(self.device)

    @property
    def n_layers(self) -> int:
        return self.shape.n_layers

    @property
    def n_heads(self) -> int:
        """Query heads a layer."""
        return self.shape.n_heads

    @property
    def n_kv_heads(self) -> int:
        return self.shape.n_kv_heads

    @property
    def group(self) -> int:
        """Query heads that share one KV head."""
        return self.n_heads // self.n_kv_heads

    @property
    def d_model(self) -> int:
        return self.shape.d_model

    @property
    def parallel_mlps(self) -> bool:
        """Whether a block's MLP runs beside its attention instead of reading what that wrote."""
        if self._parts is not None:
            return any(layer.parallel for layer in self._parts.layers)
        return bool(getattr(self.bridge.cfg, "parallel_attn_mlp", False))

    @property
    def d_head(self) -> int:
        return self.shape.d_head

    @property
    def vocab_size(self) -> int:
        return self.shape.vocab_size

    @property
    def max_positions(self) -> int:
        """Longest prompt in tokens."""
        return self.shape.max_positions

    @property
    def device(self) -> torch.device:
        """Where activations live; the weights of a block may lie on another (engine/models/devices.py)."""
        return next(self.hf_model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.hf_model.parameters()).dtype

    @property
    def bridge(self) -> Any:
        """The hooked model, booted at first use; take ``lock`` before touching it."""
        with self.lock:
            if self._bridge is None:
                _ = self.fingerprint  # while the weights are as they were loaded
                self._bridge = bridge.boot(self.hf_model, self.tokenizer, self.tokenizer.name_or_path)
            return self._bridge

    @contextmanager
    def hooking(self) -> Iterator[Any]:
        """The bridge under its lock, with every hook gone afterwards whatever happens."""
        with self.lock:
            hooked = self.bridge
            try:
                yield hooked
            finally:
                hooked.reset_hooks()

    @torch.no_grad()
    def counted_flops(self, length: int) -> float:
        """Matmul FLOPs of a hooked forward of one prompt of ``length`` tokens, counted in a real one."""
        if length in self._pass_flops:  # without the lock, which a search may hold for long
            return self._pass_flops[length]
        with self.lock:
            if length not in self._pass_flops:
                with self.hooking() as hooked, MatmulCounter() as counter:
                    hooked(torch.ones(1, length, dtype=torch.long, device=self.device))
                self._pass_flops[length] = counter.flops
            return self._pass_flops[length]
