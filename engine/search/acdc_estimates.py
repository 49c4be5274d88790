"""First-order estimates of what taking an edge out does, for ACDC's screened mode (SPEED item 7).

Walked from the logits down, like ACDC itself:

1. Once a receiver's senders are settled, the metric's gradient at its stream is carried down that stream, layer by
   layer, and adds to the gradient at the z of each head it hears. A head is reached after all that hear it.
2. The gradient at a head's z goes on through its attention to the streams of its q, k and v.
3. Taking sender s from a receiver changes its stream, and so z of its head (of its group, for k and v): both
   computed exactly. That change times the gradient at z estimates the change of the metric.

Each gradient is taken while everything below still has all its edges: what is pruned later is not in it. ACDC
measures exactly whatever is near its tolerance. Streams without s are those of the sweep of path patching; all
receivers of a layer share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from engine.activations import read_metric
from engine.circuit import Input
from engine.cost.ledger import head_flops, mlp_flops, output_flops, unembed_flops
from engine.edges.nodes import Drawing, Nodes, Stream
from engine.edges.run import EdgeAblator
from engine.edges.streams import EdgePairs, EdgeStreams
from engine.edges.wiring import Senders
from engine.heads import Head
from engine.models.parts import Layer
from engine.patching.effects import SENDER_SWEEP
from engine.patching.receiver import Receiver

Gradients = dict[Head, Tensor]  # d metric / d z of a head, [batch pos d_head]


class EdgeEstimates:
    """Gradients at every head's z so far, for all pairs of an ablator."""

    def __init__(self, ablator: EdgeAblator) -> None:
        self._ablator = ablator
        self._gradients: list[Gradients] = [{} for _ in ablator.runs]

    @torch.no_grad()
    def settle_logits(self, drawing: Drawing) -> None:
        """The logits' senders are final."""
        for run, gradients in zip(self._ablator.runs, self._gradients, strict=True):
            final = run.values([drawing.final])[drawing.final]
            _Backward(self._ablator, run, gradients).down(drawing.final, self._at_final(run.pairs, final))

    @torch.no_grad()
    def settle(self, drawing: Drawing, heads: Sequence[Head]) -> None:
        """The senders of q, k and v of ``heads``, all those of one layer that are heard, are final."""
        for run, gradients in zip(self._ablator.runs, self._gradients, strict=True):
            backward = _Backward(self._ablator, run, gradients)
            for stream, gradient in backward.through_attention(drawing, heads).items():
                backward.down(stream, gradient)

    @torch.no_grad()
    def without(self, drawing: Drawing, receiver: Receiver, members: Sequence[Head], senders: Senders) -> Tensor:
        """Change of the metric, summed over pairs, when ``receiver`` stops hearing each of ``senders``.

        ``[layer head]``, 0 for heads that are not senders. ``members`` are the heads that ``receiver`` belongs to.
        """
        model, ordered = self._ablator.model, sorted(senders)
        total = torch.zeros(model.n_layers, model.n_heads, dtype=torch.float64)
        streams = [_stream_without(drawing, receiver, sender) for sender in ordered]
        variants = {member: [_with_input(drawing, member, receiver.input, s) for s in streams] for member in members}
        keep = frozenset(drawing.nodes.behind([drawing.final]))
        sweep = frozenset(drawing.nodes.behind(streams))
        for run, gradients in zip(self._ablator.runs, self._gradients, strict=True):
            # The next receivers, of this layer and of those below, read the same streams or earlier ones.
            run.pin(drawing.is_narrow(receiver), sweep)
            with self._ablator.ledger.stage(SENDER_SWEEP):
                run.values(streams, keep)
            for member in members:
                values = run.values([*variants[member], drawing.z[member]], keep)
                change = torch.stack([values[number] for number in variants[member]]) - values[drawing.z[member]]
                gradient = gradients[member][:, -change.shape[2] :].flatten()
                self._ablator.ledger.add(2 * change.numel())
                at = ([sender.layer for sender in ordered], [sender.index for sender in ordered])
                total[at] += (change.flatten(1) @ gradient[:, None])[:, 0].double().cpu()
        return total

    def _at_final(self, pairs: EdgePairs, final: Tensor) -> Tensor:
        """d metric / d final stream, ``[batch 1 d_model]``."""
        parts = self._ablator.model.parts
        count = parts.unembedding.weight.shape[0] if pairs.readout.tokens is None else len(pairs.readout.tokens)
        self._ablator.ledger.add(2 * unembed_flops(parts, len(final), count))
        with torch.enable_grad():
            leaf = final.detach().requires_grad_()
            return torch.autograd.grad(read_metric(parts, pairs.readout, leaf[:, -1]).sum(), leaf)[0]


def _stream_without(drawing: Drawing, receiver: Receiver, sender: Head) -> int:
    assert receiver.head is not None
    rest = drawing.wiring.heard_by(receiver) - {sender}
    return drawing.nodes.stream(drawing.z, rest, receiver.head.layer, drawing.is_narrow(receiver))


def _with_input(drawing: Drawing, head: Head, letter: Input, stream: int) -> int:
    """z of ``head`` with one of its inputs read from another stream."""
    inputs = dict(zip((Input.Q, Input.K, Input.V), drawing.inputs(head), strict=True)) | {letter: stream}
    return drawing.nodes.z(head, inputs[Input.Q], inputs[Input.K], inputs[Input.V])


class _Backward:
    """Carries gradients down the nodes of some pairs."""

    def __init__(self, ablator: EdgeAblator, run: EdgeStreams, gradients: Gradients) -> None:
        self._layers: Sequence[Layer] = ablator.model.parts.layers
        self._nodes: Nodes = ablator.nodes
        self._ledger, self._run, self._gradients = ablator.ledger, run, gradients

    def down(self, number: int, gradient: Tensor) -> None:
        """From the end of a stream to the z of every head it hears; ``gradient [batch pos d_model]``."""
        chain = self._chain(number)
        read = {node for stream in chain for node in (stream.parent, *stream.written)}
        values = self._run.values(read, frozenset(self._nodes.behind([number])))
        for stream in chain:
            index = stream.layer - 1
            layer, resid = self._layers[index], values[stream.parent]
            attn_out = self._attn_out(stream, values)
            # Forwards and backwards; of the weights nothing is asked.
            self._ledger.add(2 * mlp_flops(layer, resid[..., 0].numel()))
            gradient, written = _through_block(layer, resid, attn_out, gradient)
            for z in stream.written:
                self._add(index, z, written)

    def through_attention(self, drawing: Drawing, heads: Sequence[Head]) -> dict[int, Tensor]:
        """Gradients at the streams that ``heads`` of one layer read, from those at their z."""
        found: dict[int, Tensor] = {}
        for head in heads:
            layer, inputs = self._layers[head.layer], drawing.inputs(head)
            streams = dict.fromkeys(inputs)
            values = self._run.values(streams, frozenset(self._nodes.behind([drawing.final])))
            leaves = {number: values[number].detach().requires_grad_() for number in streams}
            with torch.enable_grad():
                z = self._z(head, *(leaves[number] for number in inputs))
                gradient = self._gradients[head][:, -z.shape[1] :]
                grads = torch.autograd.grad((z[..., 0, :] * gradient).sum(), list(leaves.values()))
            rows = sum(values[number][..., 0].numel() for number in inputs)
            self._ledger.add(2 * 2 * rows * layer.o.weight.shape[0] * layer.d_head)
            self._ledger.add(3 * head_flops(layer, z[..., 0, 0].numel(), self._run.pairs.length, 1))
            for number, grad in zip(leaves, grads, strict=True):
                found[number] = found[number] + grad if number in found else grad
        return found

    def _z(self, head: Head, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """z ``[batch pos 1 d_head]`` of a head whose q, k and v are read from these streams."""
        layer, pairs = self._layers[head.layer], self._run.pairs
        kv = head.index // self._nodes.group
        own, group = slice(head.index, head.index + 1), slice(kv, kv + 1)
        queries = layer.heads_input("q", own, layer.norm_attn(q), pairs.length - q.shape[1])
        keys = layer.heads_input("k", group, layer.norm_attn(k), pairs.window.first)
        values = layer.heads_input("v", group, layer.norm_attn(v), pairs.window.first)
        before = slice(0, pairs.window.first)
        keys = torch.cat((pairs.k[head.layer][:, before, group], keys), dim=1)
        values = torch.cat((pairs.v[head.layer][:, before, group], values), dim=1)
        return layer.attend(queries, keys, values)

    def _chain(self, number: int) -> list[Stream]:
        """The stream from its end down to the lowest layer in which it hears anyone."""
        chain: list[Stream] = []
        lowest = 0
        while (stream := self._nodes[number]) and isinstance(stream, Stream) and stream.layer:
            chain.append(stream)
            lowest = len(chain) if stream.written else lowest
            number = stream.parent
        return chain[:lowest]

    def _attn_out(self, stream: Stream, values: Mapping[int, Tensor]) -> Tensor:
        """What attention writes on a stream in the layer it comes out of: ``[batch pos d_model]``."""
        pairs, index = self._run.pairs, stream.layer - 1
        positions = values[stream.parent].shape[1]
        layer, total = self._layers[index], self._run.stand_in_writes(index)[:, -positions:]
        for number in sorted(stream.written):
            first = self._head_of(number).index
            z, stand_in = values[number][:, -positions:], pairs.stand_in[index][:, -positions:, first : first + 1]
            self._ledger.add(output_flops(layer, z[..., 0, 0].numel(), 1))
            total = layer.changed_output(total, z - stand_in, first)
        return total

    def _add(self, index: int, number: int, written: Tensor) -> None:
        """Add to a head's gradient what comes of d metric / d (what attention writes), ``[batch pos d_model]``."""
        layer, head = self._layers[index], self._head_of(number)
        weight = layer.o.weight[:, head.index * layer.d_head : (head.index + 1) * layer.d_head]
        self._ledger.add(output_flops(layer, written[..., 0].numel(), 1))
        gradient = (written.to(weight.device) @ weight).to(written.device)
        if head not in self._gradients:
            pairs = self._run.pairs
            shape = (len(written), pairs.length - pairs.window.first, layer.d_head)
            self._gradients[head] = gradient.new_zeros(shape)
        self._gradients[head][:, -gradient.shape[1] :] += gradient

    def _head_of(self, number: int) -> Head:
        node = self._nodes[number]
        assert not isinstance(node, Stream)
        return node.head


@torch.enable_grad()
def _through_block(layer: Layer, resid: Tensor, attn_out: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """``gradient`` at the stream out of a block as those at the stream into it and at what attention writes."""
    leaves = (resid.detach().requires_grad_(), attn_out.detach().requires_grad_())
    into, written = torch.autograd.grad(layer.output(*leaves), leaves, gradient)
    return into, written
