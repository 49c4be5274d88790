"""Path patching the plain way: one hooked forward a sender (METHOD section 2.7). The oracle.

1. Pass 1: a clean run in which every head's z is frozen at its clean value, the sender's at its
   corrupted one; MLPs and norms recompute. For the logits, read the metric here.
2. Pass 2, for a head's q, k or v: record that input in pass 1, put it alone into a clean run with
   nothing frozen, read the metric.

Slow on purpose: no sharing, no skipping, TransformerLens' own hooks. ``effects.py`` must agree. Models
whose parts are not known have nothing else (``ReferencePatching``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.activations import Activations
from engine.cost.ledger import Ledger, hooked_flops
from engine.heads import Head
from engine.hooked import end_logits, recorded_z
from engine.machine.chunks import halved
from engine.metrics import Readout, effect
from engine.models.bridge import hook_name
from engine.models.hooks import Hook, recorder, replacing
from engine.models.model import Model
from engine.patching.effects import LOGITS_STAGE, PASS_TWO, Decides, Effects, Tick, check_effect_unit
from engine.patching.receiver import Receiver
from engine.tasks.prompts import PromptBatch


@torch.no_grad()
def reference_effects(
    model: Model,
    activations: Activations,
    receiver: Receiver,
    senders: Sequence[Head],
    tick: Tick = lambda share: None,
) -> Tensor:
    """f ``[layer head]`` of ``senders`` below the receiver, NaN elsewhere, by hooked forwards."""
    check_effect_unit(activations)
    top = model.n_layers if receiver.head is None else receiver.head.layer
    senders = [sender for sender in senders if sender.layer < top]
    total = torch.full((model.n_layers, model.n_heads), float("nan"), dtype=torch.float64)
    runs = [_Frozen(model, item.batch, item.readout) for item in activations.batches]
    for done, sender in enumerate(senders):
        total[sender.layer, sender.index] = sum(run.metric(sender, receiver).double().sum() for run in runs)
        tick((done + 1) / len(senders))
    return effect(total / len(activations.prompts), activations.clean, activations.corrupted).float()


@torch.no_grad()
def reference_by_pair(model: Model, activations: Activations, receiver: Receiver, sender: Head) -> Tensor:
    """The same effect of one sender, pair by pair: ``[pair]``, whose mean is f."""
    check_effect_unit(activations)
    change = torch.empty(len(activations.prompts), dtype=torch.float64)
    for item in activations.batches:
        patched = _Frozen(model, item.batch, item.readout).metric(sender, receiver)
        change[list(item.batch.indices)] = (patched.double() - item.clean_metric.double()).cpu()
    return change / (activations.clean - activations.corrupted)


def reference_passes(receiver: Receiver, senders: int) -> int:
    """Hooked forwards of all pairs, clean or corrupted, that ``reference_effects`` of so many senders runs."""
    recordings = 2  # of clean and corrupted z
    return recordings + senders * (1 if receiver.head is None else 2)


class ReferencePatching:
    """The same effects for a fixed set of senders, as ``PathPatching`` offers them: for models that have only hooks."""

    def __init__(self, model: Model, activations: Activations, senders: Sequence[Head], ledger: Ledger) -> None:
        check_effect_unit(activations)
        self.model, self.activations, self.senders, self.ledger = model, activations, tuple(senders), ledger

    @property
    def shape(self) -> tuple[int, int]:
        """Of a matrix of effects: layers, and heads a layer."""
        return self.model.n_layers, self.model.n_heads

    def measure(self, receivers: Sequence[Receiver], decides: Decides, tick: Tick) -> list[Effects]:
        """Effects on each receiver, all of them exact."""
        return [
            Effects.exact(self.effects(receiver, lambda share, i=i: tick((i + share) / len(receivers))))
            for i, receiver in enumerate(receivers)
        ]

    def effects(self, receiver: Receiver, tick: Tick = lambda share: None) -> Tensor:
        """f ``[layer head]`` of every sender below the receiver; NaN where not measured."""
        below = [sender for sender in self.senders if receiver.head is None or sender.layer < receiver.head.layer]
        flops = hooked_flops(self.model, self.activations.prompts)
        recordings = reference_passes(receiver, 0)

        def booked(share: float) -> None:
            self.ledger.add((reference_passes(receiver, 1) - recordings) * flops)
            tick(share)

        # Both passes are whole forwards here; pass 1 is not shared, so it counts with the receiver's pass 2.
        with self.ledger.stage(LOGITS_STAGE if receiver.head is None else PASS_TWO):
            self.ledger.add(recordings * flops)
            return reference_effects(self.model, self.activations, receiver, below, booked)


class _Frozen:
    """One batch's clean and corrupted z, recorded by hooks, and the patched runs made of them."""

    def __init__(self, model: Model, batch: PromptBatch, readout: Readout) -> None:
        self.model, self.readout = model, readout
        self.tokens = batch.clean.to(model.device)
        self.clean_z, _ = recorded_z(model, self.tokens)
        self.corrupted_z, _ = recorded_z(model, batch.corrupted.to(model.device))

    def metric(self, sender: Head, receiver: Receiver) -> Tensor:
        """Patched metric ``[batch]`` of one path."""
        return halved(lambda pairs: self._metric(sender, receiver, pairs), len(self.tokens))

    def _metric(self, sender: Head, receiver: Receiver, pairs: slice) -> Tensor:
        frozen = self._freeze(sender, pairs)
        if receiver.head is None:
            return self._read(frozen, pairs)
        point = hook_name(receiver.head.layer, receiver.input.value)
        recorded: dict[str, Tensor] = {}
        self._read([*frozen, recorder(recorded, point)], pairs)
        index = receiver.head.index
        if recorded[point].shape[-2] != self.model.n_heads:  # a grouped model's k and v
            index //= self.model.group
        return self._read([(point, replacing_head(recorded[point], index))], pairs)

    def _freeze(self, sender: Head, pairs: slice) -> list[Hook]:
        """Hooks that set every z to clean and the sender's to corrupted."""
        hooks: list[Hook] = []
        for layer in range(self.model.n_layers):
            value = self.clean_z[layer][pairs]
            if layer == sender.layer:
                value = value.clone()
                value[..., sender.index, :] = self.corrupted_z[layer][pairs][..., sender.index, :]
            hooks.append(replacing(hook_name(layer, "z"), value))
        return hooks

    def _read(self, hooks: list[Hook], pairs: slice) -> Tensor:
        return self.readout.of_pairs(pairs).of_vocabulary(end_logits(self.model, self.tokens[pairs], hooks))


def replacing_head(new: Tensor, index: int) -> Callable[..., Tensor]:
    """A hook that puts head ``index`` of ``new [... head d_head]`` in its place."""

    def hook(value: Tensor, hook: Any) -> Tensor:
        patched = value.clone()
        patched[..., index, :] = new[..., index, :]
        return patched

    return hook
