"""Path patching with MLPs as nodes: they send, they receive, and no path runs through them unseen.

1. The other heads' z and all MLP outputs are frozen at clean. So a sender's patch reaches a receiver by the
   residual stream alone: the stream into the receiver is the clean one plus the change of what the sender writes,
   under the norm after attention or MLP where the architecture has one. No layer is recomputed on the way.
2. A head's q, k or v, or an MLP's whole input, is put into a clean run with nothing frozen; the metric is read.
   For the logits, the patched stream is read as it is.
3. Order: a head of layer l may send to the MLP of layer l, an MLP of layer l to anything above it. In a parallel
   block the MLP does not see the heads of its own layer (engine/nodes.py).
4. Screened, a receiving MLP's output under each patch is exact and only what lies above it is linearised: its
   change times d metric / d stream out of the layer.

With MLPs in the path (engine/patching/effects.py) a sender's effect is that of all routes over MLPs together; here
each route is an edge of its own. The two are different quantities and agree where MLPs write nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from engine.activations import BatchActivations
from engine.cost.ledger import Ledger, mlp_flops, output_flops
from engine.machine.chunks import halved_grid
from engine.machine.memory import MemoryPlan
from engine.models.parts import Parts
from engine.nodes import Mlp, Node, depth_of, mlp_depths
from engine.patching.effects import PathPatching, Tick, add_change
from engine.patching.gradients import node_gradients
from engine.patching.receiver import Receiver
from engine.patching.receivers import resume_after
from engine.patching.screening import ScreenedPatching
from engine.patching.sweep import Streams, Window


class WrittenStreams:
    """The streams one chunk of senders makes: clean, plus the change of what each of them writes."""

    def __init__(
        self, parts: Parts, item: BatchActivations, senders: Sequence[Node], window: Window, keep: bool, ledger: Ledger
    ) -> None:
        """``senders`` sorted, so that those below any depth are a prefix; ``keep`` their changes once computed."""
        self.item, self.senders, self.window = item, tuple(senders), window
        self._parts, self._keep, self._ledger = parts, keep, ledger
        self._changes: dict[Node, Tensor] = {}

    def below(self, depth: float) -> tuple[Node, ...]:
        """The senders that write below ``depth``."""
        return tuple(sender for sender in self.senders if depth_of(sender) < depth)

    def stream_into(self, depth: float) -> Tensor:
        """``[sender batch pos d_model]`` at ``depth``: into a layer, half a layer later into its MLP, or final."""
        clean = self._clean(depth)
        changes = [self._change(sender) for sender in self.below(depth)]
        return clean + torch.stack(changes) if changes else clean.new_empty(0, *clean.shape)

    def hold(self, depth: float) -> None:
        """Keep what is kept, up to ``depth``, once the stream there or at any greater depth was read."""
        if self._keep:
            for sender in self.below(depth):
                self._change(sender)

    def _clean(self, depth: float) -> Tensor:
        index, clean = int(depth), self.item.clean
        if index == len(self._parts.layers):
            return self.window.of(clean.resid_final)
        resid = self.window.of(clean.resid_pre[index])
        if depth == index:
            return resid
        return resid + self._parts.layers[index].attention_written(self.window.of(clean.attn_out[index]))

    def _change(self, sender: Node) -> Tensor:
        """Of the stream, ``[batch pos d_model]``."""
        if sender in self._changes:
            return self._changes[sender]
        change = self._mlp_change(sender) if isinstance(sender, Mlp) else self._head_change(sender.layer, sender.index)
        if self._keep:
            self._changes[sender] = change
        return change

    def _mlp_change(self, sender: Mlp) -> Tensor:
        runs = self.item.mlp_runs
        return self.window.of(runs.corrupted[sender.layer] - runs.clean[sender.layer])

    def _head_change(self, index: int, head: int) -> Tensor:
        layer, clean = self._parts.layers[index], self.item.clean
        heads = slice(head, head + 1)
        z = self.window.of(self.item.corrupted_z[index] - clean.z[index])[..., heads, :]
        before = self.window.of(clean.attn_out[index])
        self._ledger.add(output_flops(layer, before[..., 0].numel(), 1))
        if layer.norm_after_attn is None:  # the written change itself, without the rounding of a difference
            return layer.heads_output(z, head)
        return layer.attention_written(layer.changed_output(before, z, head)) - layer.attention_written(before)


class NodePatching(PathPatching):
    """Patches paths from a fixed set of heads and MLPs; matrices are ``[layer column]``."""

    @property
    def shape(self) -> tuple[int, int]:
        """Of a matrix of effects: layers, and heads a layer with a column for its MLP."""
        return self.model.n_layers, self.model.n_heads + 1

    def depth(self, receivers: Sequence[Receiver]) -> float:
        """Of heads of one layer, or of one MLP."""
        layer = super().depth(receivers)
        if not any(isinstance(receiver.head, Mlp) for receiver in receivers):
            return layer
        if len(receivers) > 1:
            raise ValueError(f"An MLP is measured alone, got {', '.join(map(str, receivers))}")
        return depths_of(self.model.parts)[int(layer)]

    def changes(
        self,
        wanted: Mapping[Receiver, Tensor],
        tick: Tick = lambda share: None,
        receivers: Sequence[Receiver] | None = None,
    ) -> dict[Receiver, Tensor]:
        """As of ``PathPatching``; of an MLP by running the model above it live."""
        depth = self.depth(list(wanted))
        if not any(isinstance(receiver.head, Mlp) for receiver in wanted):
            return super().changes(wanted, tick, receivers)
        ((receiver, mask),) = wanted.items()
        index, total, sweeps = int(depth), self.nothing(), self.sweeps()
        for done, sweep in enumerate(sweeps):
            for senders, stream in self._chosen(sweep, depth, mask):
                add_change(total, sweep.item, senders, self._resumed(sweep, index, stream))
            tick((done + 1) / len(sweeps))
        return {receiver: total}

    def _resumed(self, sweep: Streams, index: int, stream: Tensor) -> Tensor:
        """Metric ``[sender batch]`` where the MLP of layer ``index`` reads ``stream [sender batch pos d_model]``."""

        def of_some(senders: slice, pairs: slice) -> Tensor:
            where = self.model.parts, sweep.item.of_pairs(pairs), sweep.window, index
            out = stream_out_of_mlp(*where, stream[senders, pairs], self.ledger)
            return resume_after(*where, out, self.ledger)

        return halved_grid(of_some, stream.shape, self.ledger)

    def _chosen(self, sweep: Streams, depth: float, mask: Tensor) -> Iterator[tuple[list[Node], Tensor]]:
        """The wanted senders of a chunk with the streams they make; nothing if there are none."""
        below = sweep.below(depth)
        rows = [i for i, sender in enumerate(below) if mask[sender.layer, sender.index]]
        if rows:
            yield [below[row] for row in rows], self.stream(sweep, depth)[rows]

    def _planned(self, windows: Sequence[Window], memory: MemoryPlan) -> Sequence[Streams]:
        """Changes are kept if all of them fit into what is left for streams."""
        items, senders = self.activations.batches, self.senders
        sizes = [window.of(item.batch.clean).numel() for item, window in zip(items, windows, strict=True)]
        needed = len(senders) * sum(sizes) * self.model.d_model * self.model.dtype.itemsize
        found: list[Streams] = []
        for item, window, size in zip(items, windows, sizes, strict=True):
            step = max(1, memory.rows // size)
            found += [
                WrittenStreams(
                    self.model.parts, item, senders[i : i + step], window, needed <= memory.streams, self.ledger
                )
                for i in range(0, len(senders), step)
            ]  # fmt: skip
        return found


class ScreenedNodes(ScreenedPatching):
    """Measures like ``NodePatching``, but exactly only where it decides something."""

    def __init__(self, exact: NodePatching, gradients: dict[int, tuple[Tensor, Tensor]] | None = None) -> None:
        super().__init__(exact)
        self._both = {} if gradients is None else gradients  # by the batch's place: of z, of the streams

    def again(self) -> ScreenedNodes:
        """The same streams and gradients with nothing counted yet, for another walk."""
        assert isinstance(self._exact, NodePatching)
        return ScreenedNodes(self._exact, self._both)

    def _estimates(self, receivers: Sequence[Receiver], layer: int, tick: Tick) -> dict[Receiver, Tensor]:
        if not any(isinstance(receiver.head, Mlp) for receiver in receivers):
            return super()._estimates(receivers, layer, tick)
        exact, depth, (receiver,) = self._exact, self._exact.depth(receivers), receivers
        total, sweeps = exact.nothing(), exact.sweeps()
        for done, sweep in enumerate(sweeps):
            senders = sweep.below(depth)
            if senders:
                gradient = self._node_gradients(exact.activations.batches.index(sweep.item))[1][layer]
                at = ([sender.layer for sender in senders], [sender.index for sender in senders])
                total[at] += self._of_mlp(sweep, depth, gradient).double().cpu()
            tick((done + 1) / len(sweeps))
        return {receiver: total}

    def _of_mlp(self, sweep: Streams, depth: float, gradient: Tensor) -> Tensor:
        """``[sender]``, summed over pairs: the change of what the MLP writes, times the metric's gradient."""
        index, ledger, exact = int(depth), self._exact.ledger, self._exact
        layer, item, window = exact.model.parts.layers[index], sweep.item, sweep.window
        stream = exact.stream(sweep, depth)

        def of_some(senders: slice, pairs: slice) -> Tensor:
            some = stream[senders, pairs]
            ledger.add(mlp_flops(layer, some[..., 0].numel()))
            change = (layer.mlp_written(some) - window.of(item.mlp_runs.clean[index][pairs])).flatten(1)
            ledger.add(2 * change.numel())
            return (change @ window.of(gradient[pairs]).flatten()[:, None])[:, 0]

        return halved_grid(of_some, stream.shape, ledger, summed=True)

    def _gradient(self, place: int) -> Tensor:
        return self._node_gradients(place)[0]

    def _node_gradients(self, place: int) -> tuple[Tensor, Tensor]:
        if place not in self._both:
            exact = self._exact
            item, rows = exact.activations.batches[place], exact.memory.gradient_rows
            self._both[place] = node_gradients(exact.model.parts, item, rows, exact.ledger)
        return self._both[place]


def stream_out_of_mlp(
    parts: Parts, item: BatchActivations, window: Window, index: int, stream: Tensor, ledger: Ledger
) -> Tensor:
    """The stream out of layer ``index``, all of it clean but what its MLP reads, ``stream [sender batch pos d_model]``.

    Of the last layer at the end position only.
    """
    layer, clean = parts.layers[index], item.clean
    resid, attn_out = window.of(clean.resid_pre[index]), window.of(clean.attn_out[index])
    if index == len(parts.layers) - 1:
        resid, attn_out, stream = resid[..., -1:, :], attn_out[..., -1:, :], stream[..., -1:, :]
    ledger.add(mlp_flops(layer, stream[..., 0].numel()))
    return resid + layer.attention_written(attn_out) + layer.mlp_written(stream)


def depths_of(parts: Parts) -> tuple[float, ...]:
    """Where each layer's MLP reads (engine/nodes.py)."""
    return mlp_depths([layer.parallel for layer in parts.layers])
