"""Path patching screened by a first-order estimate (SPEED item 7).

1. Pass 1 and the receiver's softmax stay exact: the change of the receiver's z is the true one.
2. What that change does downstream is estimated: change times d metric / d z, for all senders at once.
3. Every sender whose effect decides who is important - above the threshold or near it, see
   ``deciding_senders`` in engine/search/path_patching.py - is recomputed exactly, until the threshold made of the
   mended effects asks for no more.
4. How many were recomputed, and the largest disagreement seen, is kept.

The logits stage is exact as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from engine.activations import BatchActivations
from engine.machine.chunks import halved_grid
from engine.patching.effects import PASS_TWO, Decides, Effects, PathPatching, Tick, layer_of
from engine.patching.gradients import z_gradients
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.receivers import patched_z
from engine.patching.sweep import Streams

# A receiver's share of the time goes to its estimates first; the rest to what is recomputed.
ESTIMATE_SHARE = 0.5


@dataclass(frozen=True)
class Screening:
    """Paths ``estimated`` in all, those of them ``recomputed`` exactly, and the largest
    |f_estimated - f_exact| among these (NaN if none was)."""

    estimated: int
    recomputed: int
    largest: float


class ScreenedPatching:
    """Measures like ``PathPatching``, but exactly only where it decides something."""

    def __init__(self, exact: PathPatching, gradients: dict[int, Tensor] | None = None) -> None:
        self._exact = exact
        self._gradients = {} if gradients is None else gradients  # by the batch's place
        self._estimated = self._recomputed = 0
        self._largest = float("nan")

    @property
    def shape(self) -> tuple[int, int]:
        """Of a matrix of effects."""
        return self._exact.shape

    @property
    def screening(self) -> Screening:
        """What was estimated and recomputed so far."""
        return Screening(self._estimated, self._recomputed, self._largest)

    def count(self, screening: Screening) -> None:
        """Count as if that had been estimated and recomputed so far."""
        self._estimated, self._recomputed, self._largest = (
            screening.estimated, screening.recomputed, screening.largest,
        )  # fmt: skip

    def hold(self, read: float, depth: float) -> None:
        """Keep what is kept, up to ``depth``, once receivers at the depth ``read`` were measured."""
        self._exact.hold(read, depth)
        for sweep in self._exact.sweeps():
            if sweep.below(read):
                self._gradient(self._exact.activations.batches.index(sweep.item))

    def depth(self, receivers: Sequence[Receiver]) -> float:
        """The depth at which these receivers read: senders lie below it."""
        return self._exact.depth(receivers)

    def again(self) -> ScreenedPatching:
        """The same streams and gradients with nothing counted yet, for another walk."""
        return ScreenedPatching(self._exact, self._gradients)

    def estimates(
        self, receivers: Sequence[Receiver], decides: Decides, tick: Tick = lambda share: None
    ) -> list[Effects]:
        """``measure`` without recomputing anything, whatever it decides."""
        return self.measure(receivers, lambda receiver, f: torch.zeros_like(f, dtype=torch.bool), tick)

    @torch.no_grad()
    def measure(
        self, receivers: Sequence[Receiver], decides: Decides, tick: Tick = lambda share: None
    ) -> list[Effects]:
        """Effects on the logits alone, or on receivers that share a layer, in their order."""
        if list(receivers) == [LOGITS]:
            return self._exact.measure(receivers, decides, tick)
        with self._exact.ledger.stage(PASS_TWO):
            return self._screen(receivers, decides, tick)

    def _screen(self, receivers: Sequence[Receiver], decides: Decides, tick: Tick) -> list[Effects]:
        depth = self._exact.depth(receivers)
        changes = self._estimates(receivers, layer_of(receivers), lambda share: tick(share * ESTIMATE_SHARE))
        effects = {r: self._exact.in_units_of_f(change, depth) for r, change in changes.items()}
        estimated = {r: ~f.isnan() for r, f in effects.items()}
        self._estimated += sum(int(mask.sum()) for mask in estimated.values())
        while wanted := _undecided(effects, estimated, decides):
            exact = self._exact.changes(wanted, partial(_later, tick), receivers)
            for receiver, mask in wanted.items():
                self._mend(effects[receiver], self._exact.in_units_of_f(exact[receiver], depth), mask)
                estimated[receiver] &= ~mask
        tick(1.0)
        return [Effects(effects[r], estimated[r]) for r in receivers]

    def _mend(self, f: Tensor, exact: Tensor, mask: Tensor) -> None:
        largest = float((f - exact)[mask].abs().max())
        self._largest = largest if self._largest != self._largest else max(self._largest, largest)
        self._recomputed += int(mask.sum())
        f[mask] = exact[mask]

    def _estimates(self, receivers: Sequence[Receiver], layer: int, tick: Tick) -> dict[Receiver, Tensor]:
        """First-order change of the metric, summed over pairs: ``[layer head]`` by receiver."""
        totals = {receiver: self._exact.nothing() for receiver in receivers}
        sweeps = self._exact.sweeps()
        items = self._exact.activations.batches
        for done, sweep in enumerate(sweeps):
            senders = sweep.below(layer)
            if senders:
                parts = self._exact.model.parts
                gradient = self._gradient(items.index(sweep.item))[layer]
                normed = parts.layers[layer].norm_attn(self._exact.stream(sweep, layer))
                at = ([sender.layer for sender in senders], [sender.index for sender in senders])
                for receiver in receivers:
                    totals[receiver][at] += self._estimate(sweep, receiver, layer, normed, gradient).double().cpu()
            tick((done + 1) / len(sweeps))
        return totals

    def _estimate(
        self, sweep: Streams, receiver: Receiver, layer: int, normed: Tensor, gradient: Tensor
    ) -> Tensor:
        """``[sender]``, summed over pairs."""
        window, ledger = sweep.window, self._exact.ledger

        def of_some(senders: slice, pairs: slice) -> Tensor:
            item = sweep.item.of_pairs(pairs)
            z, first = patched_z(self._exact.model.parts, item, window, receiver, normed[senders, pairs], ledger)
            heads = slice(first, first + z.shape[-2])
            change = z - window.of(item.clean.z[layer])[..., heads, :]
            flat = change.flatten(1)
            ledger.add(2 * flat.numel())
            return (flat @ window.of(gradient[pairs])[..., heads, :].flatten()[:, None])[:, 0]

        return halved_grid(of_some, normed.shape, ledger, summed=True)

    def _gradient(self, place: int) -> Tensor:
        if place not in self._gradients:
            item: BatchActivations = self._exact.activations.batches[place]
            rows = self._exact.memory.gradient_rows
            self._gradients[place] = z_gradients(self._exact.model.parts, item, rows, self._exact.ledger)
        return self._gradients[place]


def _later(tick: Tick, share: float) -> None:
    tick(ESTIMATE_SHARE + share * (1 - ESTIMATE_SHARE))


def _undecided(
    effects: dict[Receiver, Tensor], estimated: dict[Receiver, Tensor], decides: Decides
) -> dict[Receiver, Tensor]:
    """Senders still estimated whose exact effect decides something, by receiver; receivers without any left out."""
    wanted = {receiver: decides(receiver, f) & estimated[receiver] for receiver, f in effects.items()}
    return {receiver: mask for receiver, mask in wanted.items() if mask.any()}
