"""Exact effects pair by pair, for intervals over prompts: the sums of ``PathPatching`` kept apart.

A pair's share of f is its change of the metric in units of the mean of clean minus corrupted over all pairs, so that
the shares' mean is f. The work is the same; only what is added up is not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.patching.effects import LOGITS_STAGE, PASS_TWO, PathPatching, Tick
from engine.patching.receiver import LOGITS, Receiver


class PairedPatching(PathPatching):
    """Every ``[layer head]`` of ``PathPatching`` has the pairs as a third axis here, in the order of the prompts."""

    @torch.no_grad()
    def by_pair(self, receiver: Receiver, tick: Tick = lambda share: None) -> Tensor:
        """Each pair's share of f, for every sender below the receiver: ``[layer head pair]``; NaN elsewhere."""
        if receiver.head is None:
            assert receiver == LOGITS
            with self.ledger.stage(LOGITS_STAGE):
                return self._to_logits(tick)
        everyone = torch.ones(self.model.n_layers, self.model.n_heads, dtype=torch.bool)
        with self.ledger.stage(PASS_TWO):
            change = self.changes({receiver: everyone}, tick)[receiver]
        return self.in_units_of_f(change, receiver.head.layer)

    def nothing(self) -> Tensor:
        """Zero for every head and pair: ``[layer head pair]``."""
        return super().nothing()[..., None].repeat(1, 1, len(self.activations.prompts))

    def in_units_of_f(self, change: Tensor, depth: float) -> Tensor:
        """Shares of f of changes by pair, ``[layer head pair]``; NaN for senders not below ``depth``."""
        measured = ~super().in_units_of_f(change.sum(dim=-1), depth).isnan()
        unit = self.activations.clean - self.activations.corrupted
        return (change / unit).where(measured[..., None], float("nan"))
