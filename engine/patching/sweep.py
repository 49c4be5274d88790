"""One sweep of all senders through the layers, serving every receiver (SPEED items 1, 2, 4, 5).

1. A sender's patch changes nothing below its layer, so it enters the batch there: clean stream plus
   W_O (z_corrupted - z_clean) of that head.
2. Above it every head's z is frozen at clean, so a layer adds its clean attention output and only
   norm and MLP are recomputed. Positions no longer talk to each other: any subset may be carried.
3. The stream into layer r does not depend on who receives it: each receiver reads its q, k and v
   from the same tensor.

Receivers are walked from the last layer down. Streams are kept every ``stride`` layers, the
smallest stride that fits the memory budget, and recomputed from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engine.activations import BatchActivations
from engine.cost.ledger import Ledger, block_flops, output_flops
from engine.machine.chunks import halved_grid
from engine.machine.memory import MemoryPlan
from engine.models.parts import Layer, Parts
from engine.nodes import Node, mlps_among


@dataclass(frozen=True)
class Window:
    """The positions a sweep carries: ``first`` to the end of the prompt."""

    first: int

    def of(self, x: Tensor) -> Tensor:
        """``x [batch pos ...]`` from ``first`` on."""
        return x[:, self.first :]


class Streams(Protocol):
    """One chunk of senders through one batch: the streams their patches make."""

    @property
    def item(self) -> BatchActivations: ...
    @property
    def senders(self) -> tuple[Node, ...]: ...
    @property
    def window(self) -> Window: ...

    def below(self, depth: float) -> tuple[Node, ...]:
        """The senders whose patch has entered the stream at ``depth`` (engine/nodes.py)."""
        ...

    def stream_into(self, depth: float) -> Tensor:
        """``[sender batch pos d_model]`` for ``below(depth)``."""
        ...

    def hold(self, depth: float) -> None:
        """Keep what is kept, up to ``depth``, once the stream there or at any greater depth was read."""
        ...


class SenderSweep:
    """The streams of one chunk of senders through one batch.

    Asked from high layers to low, nothing kept is computed twice; a second walk finds it all there.
    """

    def __init__(
        self, parts: Parts, item: BatchActivations, senders: Sequence[Node], window: Window, stride: int, ledger: Ledger
    ) -> None:
        """``senders`` sorted by layer, so that those below any layer are a prefix."""
        self.item, self.senders, self.window = item, tuple(senders), window
        self._parts, self._stride, self._ledger = parts, stride, ledger
        clean = window.of(item.clean.resid_pre[0])
        self._kept: dict[int, Tensor] = {0: clean.new_empty(0, *clean.shape)}

    def below(self, depth: float) -> tuple[Node, ...]:
        """The senders whose patch has entered the stream into the layer ``depth``."""
        return tuple(sender for sender in self.senders if sender.layer < depth)

    def stream_into(self, depth: float) -> Tensor:
        """``[sender batch pos d_model]`` for ``below(depth)``, a whole layer; n_layers is the final stream."""
        layer = int(depth)
        start = max(kept for kept in self._kept if kept <= layer)
        stream = self._kept[start]
        for index in range(start, layer):
            stream = self._through(index, stream)
            if (index + 1) % self._stride == 0:
                self._kept[index + 1] = stream
        return stream

    def hold(self, depth: float) -> None:
        """Keep what is kept, up to ``depth``, once the stream there or at any greater depth was read."""
        self.stream_into(int(depth) // self._stride * self._stride)

    def upwards(self) -> Iterator[Tensor]:
        """``stream_into`` every layer from 0 to n_layers, in order, each once; nothing is kept."""
        stream = self._kept[0]
        yield stream
        for index in range(len(self._parts.layers)):
            stream = self._through(index, stream)
            yield stream

    def _through(self, index: int, stream: Tensor) -> Tensor:
        """From the stream into layer ``index`` to the one out of it, its own senders added."""
        layer, clean = self._parts.layers[index], self.item.clean
        entering = [sender.index for sender in self.senders if sender.layer == index]
        if not entering and not len(stream):
            return stream
        attn_out = self.window.of(clean.attn_out[index])
        through = self._out_of(layer, stream, attn_out) if len(stream) else stream
        if not entering:
            return through
        self._ledger.add(len(entering) * output_flops(layer, attn_out[..., 0].numel(), 1))
        change = self.window.of(self.item.corrupted_z[index] - clean.z[index])  # [batch pos head d_head]
        written = [layer.changed_output(attn_out, change[..., h : h + 1, :], h) for h in entering]
        entered = self._out_of(layer, self.window.of(clean.resid_pre[index]), torch.stack(written))
        return torch.cat((through, entered))

    def _out_of(self, layer: Layer, resid: Tensor, attn_out: Tensor) -> Tensor:
        """``[sender batch pos d_model]``; one of the two may be ``[batch pos d_model]``, the same for every sender."""
        self._ledger.add(block_flops(layer, resid, attn_out))

        def of_some(senders: slice, pairs: slice) -> Tensor:
            return layer.output(*(x[senders, pairs] if x.ndim == 4 else x[pairs] for x in (resid, attn_out)))

        return halved_grid(of_some, (resid if resid.ndim == 4 else attn_out).shape)


def plan_sweeps(
    parts: Parts,
    items: Sequence[BatchActivations],
    senders: Sequence[Node],
    windows: Sequence[Window],
    memory: MemoryPlan,
    ledger: Ledger,
) -> list[SenderSweep]:
    """Chunks of at most ``memory.rows`` for every batch, all with the smallest stride whose streams fit."""
    if mlps_among(senders):
        raise ValueError("Expected heads as senders: where MLPs are part of the path, they send nothing of their own")
    senders = sorted(senders)
    stride = _stride(parts, items, senders, windows, memory.streams)
    sweeps = []
    for item, window in zip(items, windows, strict=True):
        per_sender = window.of(item.batch.clean).numel()
        size = max(1, memory.rows // per_sender)
        sweeps += [
            SenderSweep(parts, item, senders[i : i + size], window, stride, ledger)
            for i in range(0, len(senders), size)
        ]
    return sweeps


def _stride(
    parts: Parts,
    items: Sequence[BatchActivations],
    senders: Sequence[Node],
    windows: Sequence[Window],
    budget_bytes: float,
) -> int:
    n_layers = len(parts.layers)
    for stride in range(1, n_layers + 1):
        if stream_bytes(n_layers, items, senders, windows, stride) <= budget_bytes:
            return stride
    return n_layers + 1  # keep nothing: every stream is recomputed from the senders' own layers


def stream_bytes(
    n_layers: int, items: Sequence[BatchActivations], senders: Sequence[Node], windows: Sequence[Window], stride: int
) -> int:
    """Most that streams kept every ``stride`` layers take: those of the senders below each of these layers."""
    per_sender = sum(
        window.of(item.clean.resid_pre[0]).numel() * item.clean.resid_pre.element_size()
        for item, window in zip(items, windows, strict=True)
    )
    layers = range(stride, n_layers + 1, stride)
    return per_sender * sum(sender.layer < layer for layer in layers for sender in senders)
