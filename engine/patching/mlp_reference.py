"""Path patching with MLPs as nodes, the plain way: one hooked forward a sender. The oracle of ``mlp_nodes.py``.

1. Pass 1: a clean run in which every head's z and every MLP's output is frozen at its clean value, the sender's at
   its corrupted one. For the logits, read the metric here.
2. Pass 2: record the receiver's q, k or v, or the MLP's whole input, in pass 1; put it alone into a clean run with
   nothing frozen; read the metric.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.activations import Activations, check_mlps
from engine.cost.ledger import Ledger, hooked_flops
from engine.heads import Head
from engine.hooked import end_logits
from engine.metrics import Readout, effect
from engine.models.bridge import hook_name, mlp_name
from engine.models.hooks import Hook, recorder, replacing
from engine.models.model import Model
from engine.nodes import Mlp, Node, depth_of
from engine.patching.effects import LOGITS_STAGE, PASS_TWO, Tick, check_effect_unit
from engine.patching.mlp_nodes import depths_of
from engine.patching.receiver import Receiver
from engine.patching.reference import reference_passes, replacing_head
from engine.tasks.prompts import PromptBatch


@torch.no_grad()
def reference_node_effects(
    model: Model,
    activations: Activations,
    receiver: Receiver,
    senders: Sequence[Node],
    tick: Tick = lambda share: None,
) -> Tensor:
    """f ``[layer column]`` of ``senders`` below the receiver, NaN elsewhere, by hooked forwards."""
    check_effect_unit(activations)
    below = [sender for sender in senders if depth_of(sender) < receiver_depth(model, receiver)]
    total = torch.full((model.n_layers, model.n_heads + 1), float("nan"), dtype=torch.float64)
    runs = [_FrozenNodes(model, item.batch, item.readout) for item in activations.batches]
    for done, sender in enumerate(below):
        total[sender.layer, sender.index] = sum(run.metric(sender, receiver).double().sum() for run in runs)
        tick((done + 1) / len(below))
    return effect(total / len(activations.prompts), activations.clean, activations.corrupted).float()


def receiver_depth(model: Model, receiver: Receiver) -> float:
    """Where a receiver reads; the logits above all layers (engine/nodes.py)."""
    if receiver.head is None:
        return model.n_layers
    if isinstance(receiver.head, Head):
        return receiver.head.layer
    check_mlps(model)
    return depths_of(model.parts)[receiver.head.layer]


def booked_reference(
    model: Model, activations: Activations, receiver: Receiver, senders: Sequence[Node], ledger: Ledger, tick: Tick
) -> Tensor:
    """``reference_node_effects`` with its forwards in ``ledger``."""
    flops, recordings = hooked_flops(model, activations.prompts), reference_passes(receiver, 0)

    def booked(share: float) -> None:
        ledger.add((reference_passes(receiver, 1) - recordings) * flops)
        tick(share)

    with ledger.stage(LOGITS_STAGE if receiver.head is None else PASS_TWO):
        ledger.add(recordings * flops)
        return reference_node_effects(model, activations, receiver, senders, booked)


class _FrozenNodes:
    """One batch's clean and corrupted z and MLP outputs, recorded by hooks, and the patched runs made of them."""

    def __init__(self, model: Model, batch: PromptBatch, readout: Readout) -> None:
        self.model, self.readout = model, readout
        self.tokens = batch.clean.to(model.device)
        self.clean = self._recorded(self.tokens)
        self.corrupted = self._recorded(batch.corrupted.to(model.device))

    def metric(self, sender: Node, receiver: Receiver) -> Tensor:
        """Patched metric ``[batch]`` of one path."""
        frozen = self._freeze(sender)
        if receiver.head is None:
            return self._read(frozen)
        name = self._input_name(receiver)
        recorded: dict[str, Tensor] = {}
        self._read([*frozen, recorder(recorded, name)])
        if isinstance(receiver.head, Mlp):
            return self._read([replacing(name, recorded[name])])
        index = receiver.head.index
        if recorded[name].shape[-2] != self.model.n_heads:  # a grouped model's k and v
            index //= self.model.group
        return self._read([(name, replacing_head(recorded[name], index))])

    def _input_name(self, receiver: Receiver) -> str:
        assert receiver.head is not None
        if isinstance(receiver.head, Mlp):
            return mlp_name(receiver.head.layer, "in")
        return hook_name(receiver.head.layer, receiver.input.value)

    def _recorded(self, tokens: Tensor) -> dict[str, Tensor]:
        """z and MLP output of every layer of a plain run, by hook name."""
        recorded: dict[str, Tensor] = {}
        names = [name for layer in range(self.model.n_layers) for name in _points(layer)]
        end_logits(self.model, tokens, [recorder(recorded, name) for name in names])
        return recorded

    def _freeze(self, sender: Node) -> list[Hook]:
        """Hooks that set every z and MLP output to clean and the sender's to corrupted."""
        values = dict(self.clean)
        z, out = _points(sender.layer)
        if isinstance(sender, Mlp):
            values[out] = self.corrupted[out]
        else:
            values[z] = values[z].clone()
            values[z][..., sender.index, :] = self.corrupted[z][..., sender.index, :]
        return [replacing(name, value) for name, value in values.items()]

    def _read(self, hooks: list[Hook]) -> Tensor:
        return self.readout.of_vocabulary(end_logits(self.model, self.tokens, hooks))


def _points(layer: int) -> tuple[str, str]:
    return hook_name(layer, "z"), mlp_name(layer, "out")
