"""The values of nodes (engine/edges/nodes.py) for some prompt pairs, layer by layer, each once.

In a layer, first z of the heads that are needed: their q, k and v from the streams they are read from.
Then the streams out of it: what the stand-ins of all heads write, which every stream shares, and for each z
that a stream hears the difference it makes there; norm and MLP recomputed. All streams of a layer are one
batch. What a layer read is dropped after it, but for what was asked to be kept.

Where stand-ins equal the clean z before the first token that differs, nothing there changes, and only the
positions from it on are carried; earlier keys and values are the clean ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.activations import BatchActivations, read_metric
from engine.cost.ledger import Ledger, block_flops, head_flops, output_flops, unembed_flops
from engine.edges.nodes import NARROW_ROOT, WIDE_ROOT, HeadZ, Nodes, Stream, layer_of_node
from engine.machine.chunks import halved_grid
from engine.metrics import Readout
from engine.models.parts import Layer, Parts
from engine.patching.receivers import after_clean
from engine.patching.sweep import Window


@dataclass(frozen=True, eq=False)
class EdgePairs:
    """Some pairs of one batch, as running edges needs them."""

    indices: tuple[int, ...]  # places among all pairs
    readout: Readout
    embedding: Tensor  # [batch pos d_model]
    k: Tensor  # [layer batch pos kv_head d_head], clean
    v: Tensor
    stand_in: Tensor  # [layer batch pos head d_head]
    window: Window

    @staticmethod
    def of(item: BatchActivations, stand_in: Tensor, pairs: slice, first: int) -> EdgePairs:
        """Views of ``pairs`` of ``item``; positions before ``first`` never change."""
        clean = item.clean
        return EdgePairs(
            item.batch.indices[pairs], item.readout.of_pairs(pairs), clean.resid_pre[0][pairs],
            clean.k[:, pairs], clean.v[:, pairs], stand_in[:, pairs], Window(first),
        )  # fmt: skip

    @property
    def length(self) -> int:
        """Positions."""
        return self.embedding.shape[1]


class EdgeStreams:
    """``values`` of nodes for ``pairs``; what it is asked to keep stays while it fits ``budget`` bytes."""

    def __init__(self, parts: Parts, pairs: EdgePairs, nodes: Nodes, rows: int, budget: float, ledger: Ledger) -> None:
        self.pairs, self.nodes = pairs, nodes
        self._parts, self._rows, self._budget, self._ledger = parts, rows, budget, ledger
        self._roots = {WIDE_ROOT: pairs.window.of(pairs.embedding), NARROW_ROOT: pairs.embedding[:, -1:]}
        self._kept: dict[int, Tensor] = {}
        self._pinned: dict[object, Set[int]] = {}
        self._stand_in_writes: dict[int, Tensor] = {}

    def pin(self, name: object, numbers: Set[int]) -> None:
        """Keep these nodes whatever else is asked for, instead of those pinned by the same ``name`` before."""
        self._pinned[name] = numbers

    def forget(self, nodes: Nodes) -> None:
        """Keep nothing; from now on nodes are numbered by ``nodes``."""
        self.nodes, self._kept, self._pinned = nodes, {}, {}

    def metrics(self, finals: Sequence[int], keep: frozenset[int] = frozenset()) -> Tensor:
        """Metric ``[final batch]`` read from final streams."""
        values = self.values(finals, keep)
        resid = torch.stack([values[final][:, -1] for final in finals])
        tokens = self.pairs.readout.tokens
        count = self._parts.unembedding.weight.shape[0] if tokens is None else len(tokens)
        self._ledger.add(unembed_flops(self._parts, resid[..., 0].numel(), count))
        return read_metric(self._parts, self.pairs.readout, resid)

    def values(self, wanted: Iterable[int], keep: frozenset[int] = frozenset()) -> dict[int, Tensor]:
        """``[batch pos d_model]`` of streams, ``[batch pos 1 d_head]`` of z, at the positions each is carried at.

        Of what it had kept only ``keep`` stays. What is wanted and to be kept is kept whatever the budget.
        """
        wanted, keep = set(wanted), keep.union(*self._pinned.values())
        live = {**self._roots, **self._kept}
        heads, streams = self._by_layer(self.nodes.behind(wanted, live))
        self._kept = {number: value for number, value in self._kept.items() if number in keep}
        for layer in range(self.nodes.n_layers):
            _Layer(self, layer, live).run(heads[layer], streams[layer + 1])
            self._retain(live, [*heads[layer], *streams[layer + 1]], keep, wanted)
            for number in (*heads[layer], *streams[layer]):  # read by nothing above
                if number not in wanted:
                    del live[number]
        return {number: live[number] for number in wanted}

    def stand_in_writes(self, layer: int) -> Tensor:
        """What attention writes when every head is replaced: ``[batch pos d_model]``, at the window's positions."""
        if layer not in self._stand_in_writes:
            z = self.pairs.window.of(self.pairs.stand_in[layer])
            block = self._parts.layers[layer]
            self._ledger.add(output_flops(block, z[..., 0, 0].numel(), z.shape[-2]))
            self._stand_in_writes[layer] = block.attention_output(z)
        return self._stand_in_writes[layer]

    def _by_layer(self, todo: Set[int]) -> tuple[list[list[int]], list[list[int]]]:
        """z of each layer's heads, and streams into each layer."""
        heads: list[list[int]] = [[] for _ in range(self.nodes.n_layers)]
        streams: list[list[int]] = [[] for _ in range(self.nodes.n_layers + 1)]
        for number in sorted(todo):
            node = self.nodes[number]
            of_kind = heads if isinstance(node, HeadZ) else streams
            of_kind[layer_of_node(node)].append(number)
        return heads, streams

    def _retain(self, live: dict[int, Tensor], fresh: Collection[int], keep: Set[int], wanted: Set[int]) -> None:
        taken = sum(value.nbytes for value in self._kept.values())
        for number in fresh:
            size = live[number].nbytes
            if number in keep and (number in wanted or taken + size <= self._budget):
                # A view would hold on to the whole layer's batch.
                self._kept[number] = live[number].clone()
                taken += size


class _Layer:
    """One layer's work: reads from ``live`` and adds to it."""

    def __init__(self, run: EdgeStreams, index: int, live: dict[int, Tensor]) -> None:
        self.run_of, self.index, self.live = run, index, live
        self.pairs, self.nodes = run.pairs, run.nodes
        self.layer: Layer = run._parts.layers[index]
        self._ledger, self._rows = run._ledger, run._rows
        self._normed: dict[int, Tensor] = {}
        self._inputs: dict[tuple[str, int, int], Tensor] = {}

    def run(self, heads: Sequence[int], streams: Sequence[int]) -> None:
        for narrow in (False, True):
            for index in sorted({self._head(number).head.index for number in heads}):
                alike = [n for n in heads if self._head(n).head.index == index and self._head(n).narrow == narrow]
                if alike:
                    self._attend(index, narrow, alike)
        written = self._written({z for number in streams for z in self._stream(number).written})
        for narrow in (False, True):
            alike = [number for number in streams if self._stream(number).narrow == narrow]
            size = max(1, self._rows // (len(self.pairs.indices) * self._positions(narrow)))
            for first in range(0, len(alike), size):
                self._write(narrow, alike[first : first + size], written)

    def _attend(self, index: int, narrow: bool, numbers: Sequence[int]) -> None:
        """z of one head, read from several combinations of streams."""
        kv = index // self.nodes.group
        nodes = [self._head(number) for number in numbers]
        first = self._first(narrow)
        q = torch.stack([self._input("q", index, node.q, first) for node in nodes])
        k = torch.stack([self._input("k", kv, node.k, self._first(False)) for node in nodes])
        v = torch.stack([self._input("v", kv, node.v, self._first(False)) for node in nodes])
        clean, own = self.pairs, slice(kv, kv + 1)
        k = after_clean(clean.k[self.index][..., own, :], k, clean.window)
        v = after_clean(clean.v[self.index][..., own, :], v, clean.window)
        self._ledger.add(head_flops(self.layer, q[..., 0, 0].numel(), k.shape[-3], 1))
        z = halved_grid(lambda *some: self.layer.attend(q[some], k[some], v[some]), q.shape)
        self.live |= dict(zip(numbers, z, strict=True))

    def _input(self, letter: str, index: int, stream: int, first: int) -> Tensor:
        """q of a query head, k or v of a KV head, ``[batch pos 1 d_head]``, read from a stream."""
        key = (letter, index, stream)
        if key not in self._inputs:
            if stream not in self._normed:
                self._normed[stream] = self.layer.norm_attn(self.live[stream])
            normed = self._normed[stream]
            self._ledger.add(2 * normed.numel() * self.layer.d_head)
            self._inputs[key] = self.layer.heads_input(letter, slice(index, index + 1), normed, first)
        return self._inputs[key]

    def _written(self, numbers: Set[int]) -> dict[int, Tensor]:
        """What each z writes beyond its stand-in: ``[batch pos d_model]``."""
        written = {}
        for number in numbers:
            index, z = self._head(number).head.index, self.live[number]
            change = z - self.pairs.stand_in[self.index][:, -z.shape[1] :, index : index + 1]
            self._ledger.add(output_flops(self.layer, z[..., 0, 0].numel(), 1))
            written[number] = self.layer.heads_output(change, index)
        return written

    def _write(self, narrow: bool, numbers: Sequence[int], written: dict[int, Tensor]) -> None:
        """The streams out of the layer."""
        positions = self._positions(narrow)
        resid = torch.stack([self.live[self._stream(number).parent] for number in numbers])
        base = self.run_of.stand_in_writes(self.index)[:, -positions:]
        attn_out = torch.stack(
            [sum((written[z][:, -positions:] for z in sorted(self._stream(n).written)), base) for n in numbers]
        )
        self._ledger.add(block_flops(self.layer, resid, attn_out))
        out = halved_grid(lambda *some: self.layer.output(resid[some], attn_out[some]), resid.shape)
        self.live |= dict(zip(numbers, out, strict=True))

    def _positions(self, narrow: bool) -> int:
        return 1 if narrow else self.pairs.length - self.pairs.window.first

    def _first(self, narrow: bool) -> int:
        return self.pairs.length - self._positions(narrow)

    def _head(self, number: int) -> HeadZ:
        node = self.nodes[number]
        assert isinstance(node, HeadZ)
        return node

    def _stream(self, number: int) -> Stream:
        node = self.nodes[number]
        assert isinstance(node, Stream)
        return node
