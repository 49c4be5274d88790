"""Exact effects of many senders on one receiver, all sharing one sweep.

The effect of a sender on a receiver is f of METHOD section 2.7. For the logits only the end
position is carried through the layers, because with z frozen positions do not talk to each other
(SPEED item 3); for a head's q, k and v everything from the first differing token on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psutil
import torch
from torch import Tensor

from engine.activations import Activations, read_metric
from engine.cost import Ledger, unembed_flops
from engine.errors import HeadlightError
from engine.heads import Head
from engine.metrics import effect
from engine.models.model import Model
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.receivers import received_metric
from engine.patching.sweep import SenderSweep, Window, plan_sweeps

# Share of the free memory that kept streams may take when no budget is given.
MEMORY_SHARE = 0.25

Tick = Callable[[float], None]  # called between chunks with the share done, 0 to 1; may raise Cancelled


class PathPatching:
    """Patches paths from a fixed set of senders; ask for receivers from the last layer down.

    Any order gives the same numbers, but going down reads each stream before it is dropped.
    """

    def __init__(
        self,
        model: Model,
        activations: Activations,
        senders: Sequence[Head],
        ledger: Ledger,
        memory_budget: float | None = None,
    ) -> None:
        """``memory_budget``: bytes for kept streams (None: a quarter of what is free)."""
        check_effect_unit(activations)
        self.model, self.activations, self.ledger = model, activations, ledger
        self.senders = tuple(sorted(senders))
        self._budget = MEMORY_SHARE * psutil.virtual_memory().available if memory_budget is None else memory_budget
        self._sweeps: list[SenderSweep] | None = None

    @torch.no_grad()
    def effects(self, receiver: Receiver, tick: Tick = lambda share: None) -> Tensor:
        """f ``[layer head]`` of every sender below the receiver; NaN where not measured."""
        if receiver == LOGITS:
            return self._to_logits(tick)
        if receiver.head is None:
            raise ValueError(f"No head in {receiver}")
        layer = receiver.head.layer
        metric = self._empty()
        sweeps = self._shared_sweeps()
        for done, sweep in enumerate(sweeps):
            if sweep.below(layer):
                stream = sweep.stream_into(layer)
                values = received_metric(
                    self.model.parts, sweep.item, sweep.window, receiver, stream, self.ledger
                )
                self._place(metric, sweep, sweep.below(layer), values)
            tick((done + 1) / len(sweeps))
        return self._as_effects(metric, layer)

    def _to_logits(self, tick: Tick) -> Tensor:
        parts, items = self.model.parts, self.activations.batches
        windows = [Window(item.batch.clean.shape[1] - 1) for item in items]
        # Each chunk is carried straight to the top: nothing needs keeping on the way.
        sweeps = plan_sweeps(parts, items, self.senders, windows, 0, self.ledger)
        metric = self._empty()
        for done, sweep in enumerate(sweeps):
            resid = sweep.stream_into(self.model.n_layers)[:, :, -1]
            tokens = sweep.item.readout.tokens
            self.ledger.add(
                unembed_flops(parts, resid[..., 0].numel(), self.model.vocab_size if tokens is None else len(tokens))
            )
            self._place(metric, sweep, sweep.senders, read_metric(parts, sweep.item.readout, resid))
            tick((done + 1) / len(sweeps))
        return self._as_effects(metric, self.model.n_layers)

    def _shared_sweeps(self) -> list[SenderSweep]:
        if self._sweeps is None:
            items = self.activations.batches
            windows = [Window(item.first) for item in items]
            self._sweeps = plan_sweeps(
                self.model.parts, items, self.senders, windows, self._budget, self.ledger
            )
        return self._sweeps

    def _empty(self) -> Tensor:
        """Sum over pairs of the patched metric, by sender."""
        return torch.zeros(self.model.n_layers, self.model.n_heads, dtype=torch.float64)

    def _place(self, metric: Tensor, sweep: SenderSweep, senders: Sequence[Head], values: Tensor) -> None:
        layers = [sender.layer for sender in senders]
        indices = [sender.index for sender in senders]
        metric[layers, indices] += values.double().sum(dim=1).cpu()

    def _as_effects(self, metric: Tensor, layer: int) -> Tensor:
        """f for the measured senders (those below ``layer``), NaN elsewhere."""
        f = effect(metric / len(self.activations.prompts), self.activations.clean, self.activations.corrupted)
        measured = torch.zeros_like(f, dtype=torch.bool)
        for sender in self.senders:
            measured[sender.layer, sender.index] = sender.layer < layer
        return f.where(measured, float("nan")).float()


def check_effect_unit(activations: Activations) -> None:
    """Effects are in units of clean minus corrupted: refuse when that is nothing."""
    gap = activations.clean - activations.corrupted
    if abs(gap) < 1e-6 * max(1.0, abs(activations.clean)):
        raise HeadlightError(
            f"The metric is the same on clean and corrupted prompts ({activations.clean:.4g}), so effects have no "
            "unit. Choose a task the model can do, or another corruption."
        )
