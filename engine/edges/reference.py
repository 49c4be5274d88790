"""A model with some edges live, the plain way: one hooked forward a receiver. The oracle of engine/edges/run.py.

From the first layer up:

1. For each receiver its own forward, in which every head's z is its stand-in, but for the senders the receiver
   hears, which give the z found so far; MLPs and norms recompute. Its q, k or v (the metric, for the logits) is read.
2. One more forward a head: its q, k and v replaced by what was read, its z recorded.

Nothing is shared or skipped. Models whose parts are not known have nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.activations import BatchActivations
from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.edges.wiring import Senders, Wiring, kv_receivers, reached
from engine.heads import Head
from engine.hooked import end_logits
from engine.models.bridge import hook_name
from engine.models.hooks import Hook, recorder, replacing
from engine.models.model import Model
from engine.patching.receiver import LOGITS, Receiver


class ReferenceEdges:
    """Runs wirings on one batch; ``stand_in [layer batch pos head d_head]``."""

    def __init__(self, model: Model, item: BatchActivations, stand_in: Tensor, ledger: Ledger) -> None:
        self._model, self._item, self._stand_in, self._ledger = model, item, stand_in, ledger
        self._tokens = item.batch.clean.to(model.device)

    @torch.no_grad()
    def metric(self, wiring: Wiring) -> Tensor:
        """``[batch]``"""
        explicit = spelled_out(wiring, self._model.group)
        z: dict[Head, Tensor] = {}
        for head in reached(explicit, self._model.group).heads:
            z[head] = self._z(head, explicit, z)
        return self._item.readout.of_vocabulary(self._run(self._hearing(explicit.heard_by(LOGITS), z)))

    def _z(self, head: Head, wiring: Wiring, z: dict[Head, Tensor]) -> Tensor:
        """``[batch pos d_head]``"""
        key, value = kv_receivers(head, self._model.group)
        hooks: list[Hook] = []
        for receiver in (Receiver(Input.Q, head), key, value):
            point = hook_name(head.layer, receiver.input.value)
            recorded: dict[str, Tensor] = {}
            self._run([*self._hearing(wiring.heard_by(receiver), z), recorder(recorded, point)])
            hooks.append(replacing(point, recorded[point]))
        recorded = {}
        point = hook_name(head.layer, "z")
        # All heads of the layer get these inputs; only this head's are its own, and only its z is taken.
        self._run([*hooks, recorder(recorded, point)])
        return recorded[point].view(self._stand_in.shape[1:])[:, :, head.index].to(self._stand_in.device)

    def _hearing(self, senders: Senders, z: dict[Head, Tensor]) -> list[Hook]:
        """Hooks that set every z to its stand-in, and those of ``senders`` to the ones found."""
        values = self._stand_in.clone()
        for sender in senders:
            values[sender.layer, :, :, sender.index] = z[sender]
        return [replacing(hook_name(layer, "z"), value) for layer, value in enumerate(values)]

    def _run(self, hooks: list[Hook]) -> Tensor:
        pairs, length = self._tokens.shape
        self._ledger.add(pairs * self._model.counted_flops(length))
        return end_logits(self._model, self._tokens, hooks)


def spelled_out(wiring: Wiring, group: int) -> Wiring:
    """The same wiring with every edge of ``whole`` listed."""
    senders = dict(wiring.senders)
    for head in wiring.whole:
        below = frozenset(sender for sender in wiring.whole if sender.layer < head.layer)
        senders |= dict.fromkeys((Receiver(Input.Q, head), *kv_receivers(head, group)), below)
    return Wiring(senders)
