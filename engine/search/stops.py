"""Where a search stops on its way down from the logits, and how far it has come.

A stop's receivers are measured together: the logits, then for each layer its MLP, where MLPs are nodes, and its heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.nodes import Mlp
from engine.patching.effects import Tick
from engine.patching.receiver import Receiver
from engine.progress import Watcher

STAGE = "path patching"  # as progress names it; the ledger has its parts

# Of a layer's receivers an MLP is one beside q, k and v of a head or more.
MLP_SHARE = 0.2


@dataclass(frozen=True)
class Stop:
    """Receivers measured together: a layer's heads, or its MLP; the logits are the heads "of layer" n_layers."""

    layer: int
    mlp: bool = False


def stops_of(n_layers: int, mlp_depths: Sequence[float] | None) -> list[Stop]:
    """On the way down; what nothing lies below is left out."""
    stops = [Stop(n_layers)]
    for layer in reversed(range(n_layers)):
        if mlp_depths is not None and mlp_depths[layer] > 0:
            stops.append(Stop(layer, mlp=True))
        if layer > 0:
            stops.append(Stop(layer))
    return stops


def stop_of(receiver: Receiver, n_layers: int) -> Stop:
    if receiver.head is None:
        return Stop(n_layers)
    return Stop(receiver.head.layer, isinstance(receiver.head, Mlp))


class WalkProgress:
    """Share of the walk done: what each layer is expected to take, and how far within it."""

    def __init__(self, n_layers: int, watcher: Watcher) -> None:
        self._watcher, self._walked = watcher, 0.0
        cost = [below * (n_layers - below) for below in range(n_layers)]
        cost.append(max(1, round(0.05 * sum(cost))))  # the logits
        self._share = {layer: sum(cost[layer:]) / sum(cost) for layer in range(n_layers + 1)}

    def within(self, stop: Stop) -> Tick:
        ahead = self._until(stop) - self._walked
        return lambda share: self._watcher.step(STAGE, self._walked + share * ahead, 1)

    def leave(self, stop: Stop) -> None:
        """All receivers of this stop are searched."""
        self._walked = self._until(stop)
        self._watcher.step(STAGE, self._walked, 1)

    def _until(self, stop: Stop) -> float:
        """An MLP takes a part of its layer's share."""
        if not stop.mlp:
            return self._share[stop.layer]
        above = self._share[stop.layer + 1]
        return above + MLP_SHARE * (self._share[stop.layer] - above)
