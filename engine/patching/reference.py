"""Path patching the plain way: one hooked forward a sender (METHOD section 2.7). The oracle.

1. Pass 1: a clean run in which every head's z is frozen at its clean value, the sender's at its
   corrupted one; MLPs and norms recompute. For the logits, read the metric here.
2. Pass 2, for a head's q, k or v: record that input in pass 1, put it alone into a clean run with
   nothing frozen, read the metric.

Slow on purpose: no sharing, no skipping, TransformerLens' own hooks. ``effects.py`` must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from engine.activations import Activations
from engine.heads import Head
from engine.metrics import Readout, effect
from engine.models.bridge import hook_name
from engine.models.model import Model
from engine.patching.effects import check_effect_unit
from engine.patching.receiver import Receiver
from engine.tasks.prompts import PromptBatch

Hook = tuple[str, Callable[..., Any]]


@torch.no_grad()
def reference_effects(
    model: Model,
    activations: Activations,
    receiver: Receiver,
    senders: Sequence[Head],
    tick: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """f ``[layer head]`` of ``senders`` below the receiver, NaN elsewhere, by hooked forwards."""
    check_effect_unit(activations)
    top = model.n_layers if receiver.head is None else receiver.head.layer
    senders = [sender for sender in senders if sender.layer < top]
    total = torch.full((model.n_layers, model.n_heads), float("nan"), dtype=torch.float64)
    with _unhooked(model) as bridge:
        runs = [_Frozen(model, bridge, item.batch, item.readout) for item in activations.batches]
        for done, sender in enumerate(senders):
            total[sender.layer, sender.index] = sum(run.metric(sender, receiver).double().sum() for run in runs)
            tick((done + 1) / len(senders))
    return effect(total / len(activations.prompts), activations.clean, activations.corrupted).float()


@contextmanager
def _unhooked(model: Model):
    """The bridge under its lock, with every hook gone afterwards whatever happens."""
    with model.lock:
        bridge = model.bridge
        try:
            yield bridge
        finally:
            bridge.reset_hooks()


class _Frozen:
    """One batch's clean and corrupted z, recorded by hooks, and the patched runs made of them."""

    def __init__(self, model: Model, bridge: Any, batch: PromptBatch, readout: Readout) -> None:
        self.model, self.bridge, self.readout = model, bridge, readout
        self.tokens = batch.clean.to(model.device)
        self.clean_z = self._record_z(self.tokens)
        self.corrupted_z = self._record_z(batch.corrupted.to(model.device))

    def metric(self, sender: Head, receiver: Receiver) -> Tensor:
        """Patched metric ``[batch]`` of one path."""
        frozen = self._freeze(sender)
        if receiver.head is None:
            return self._read(frozen)
        point = hook_name(receiver.head.layer, receiver.input.value)
        recorded: dict[str, Tensor] = {}
        self._read([*frozen, (point, _recorder(recorded, point))])
        index = receiver.head.index
        if recorded[point].shape[-2] != self.model.n_heads:  # a grouped model's k and v
            index //= self.model.group
        return self._read([(point, _replace_head(recorded[point], index))])

    def _record_z(self, tokens: Tensor) -> dict[str, Tensor]:
        recorded: dict[str, Tensor] = {}
        names = [hook_name(layer, "z") for layer in range(self.model.n_layers)]
        self.bridge.run_with_hooks(tokens, fwd_hooks=[(name, _recorder(recorded, name)) for name in names])
        return recorded

    def _freeze(self, sender: Head) -> list[Hook]:
        """Hooks that set every z to clean and the sender's to corrupted."""
        hooks: list[Hook] = []
        for layer in range(self.model.n_layers):
            name = hook_name(layer, "z")
            value = self.clean_z[name]
            if layer == sender.layer:
                value = value.clone()
                value[..., sender.index, :] = self.corrupted_z[name][..., sender.index, :]
            hooks.append((name, _replace(value)))
        return hooks

    def _read(self, hooks: list[Hook]) -> Tensor:
        # A model spread over GPUs may answer on another than it was asked on.
        logits = self.bridge.run_with_hooks(self.tokens, fwd_hooks=hooks)[:, -1].to(self.model.device)
        return self.readout(logits if self.readout.tokens is None else logits[:, self.readout.tokens])


def _recorder(into: dict[str, Tensor], name: str) -> Callable[..., None]:
    """A hook that stores a copy of what passes under ``name`` (TransformerLens resolves aliases to others)."""

    def hook(value: Tensor, hook: Any) -> None:
        into[name] = value.detach().clone()

    return hook


def _replace(new: Tensor) -> Callable[..., Tensor]:
    return lambda value, hook: new.view_as(value)


def _replace_head(new: Tensor, index: int) -> Callable[..., Tensor]:
    def hook(value: Tensor, hook: Any) -> Tensor:
        patched = value.clone()
        patched[..., index, :] = new[..., index, :]
        return patched

    return hook
