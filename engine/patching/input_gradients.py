"""How the metric answers to what each head reads: the gradient at the stream through one letter alone.

1. One live run and one backward pass give d metric / d q, k and v of every layer, as attention sees them, and at
   the last stream (``input_gradients``).
2. Taken back through the head's own projection and the norm before it, they become the gradient with respect to
   the stream into the layer, as far as it enters that head's q (k, v) and nowhere else (``stream_gradients``).
3. The run starts from the clean embeddings or, for integrated gradients, from ``steps`` points on the straight way
   from the corrupted to the clean ones: k / steps of it, k = 1 … steps (EAP-IG, Hanna et al. 2024, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.activations import BatchActivations, read_metric
from engine.circuit import Input
from engine.cost.ledger import Ledger, gradient_flops, head_flops
from engine.heads import Head
from engine.machine.chunks import chunked, halved
from engine.models.parts import Layer, Parts
from engine.patching.receiver import Receiver
from engine.patching.sweep import Window


@dataclass(frozen=True, eq=False)
class InputGradients:
    """One run's streams, and d metric of each pair with respect to what was computed of them."""

    streams: Tensor  # [layer batch pos d_model] into each layer
    q: Tensor  # [layer batch pos head d_head]
    k: Tensor  # [layer batch pos kv_head d_head]
    v: Tensor  # [layer batch pos kv_head d_head]
    final: Tensor  # [batch d_model] gradient at the last stream, end position


def receivers_by_layer(heads: Sequence[Head], group: int) -> dict[int, list[Receiver]]:
    """The inputs of ``heads`` above the first layer: q of each, k and v once for each KV head."""
    found: dict[int, set[Receiver]] = {}
    for head in heads:
        if head.layer > 0:
            shared = Head(head.layer, head.index // group * group)
            own = (Receiver(Input.Q, head), Receiver(Input.K, shared), Receiver(Input.V, shared))
            found.setdefault(head.layer, set()).update(own)
    return {layer: sorted(found[layer]) for layer in sorted(found)}


def starts(parts: Parts, item: BatchActivations, steps: int) -> list[Tensor]:
    """Where the runs start: ``steps`` streams ``[batch pos d_model]``, the last of them the clean embeddings."""
    clean, corrupted = (
        parts.embed(tokens.to(item.clean.z.device)) for tokens in (item.batch.clean, item.batch.corrupted)
    )
    return [corrupted + step / steps * (clean - corrupted) for step in range(1, steps)] + [clean]


def input_gradients(
    parts: Parts, item: BatchActivations, start: Tensor, max_rows: int, ledger: Ledger
) -> InputGradients:
    """Of the live run from ``start [batch pos d_model]``; ``max_rows`` (pair x position) are run at once."""
    pairs, length = start.shape[:2]
    size = max(1, max_rows // length)
    chunks = chunked(lambda some: _gradients(parts, item, some, start[some]), pairs, size)
    ledger.add(input_gradient_flops(parts, pairs, length, _count(parts, item)))
    streams, q, k, v, final = zip(*chunks, strict=True)
    streams, q, k, v = (torch.cat(part, dim=1) for part in (streams, q, k, v))
    return InputGradients(streams, q, k, v, torch.cat(final))


def input_gradient_flops(parts: Parts, pairs: int, length: int, tokens: int) -> float:
    """``gradient_flops``, and below the first layer's z the two products that its q, k and v enter."""
    first, rows = parts.layers[0], pairs * length
    heads = first.q.weight.shape[0] // first.d_head
    return gradient_flops(parts, pairs, length, tokens) + 2 * head_flops(first, rows, length, heads)


def stream_gradients(
    parts: Parts, receivers: Sequence[Receiver], runs: Sequence[InputGradients], window: Window, ledger: Ledger
) -> Tensor:
    """d metric / d the stream that each receiver reads, the mean over ``runs``: ``[receiver batch pos d_model]``.

    The receivers are inputs of heads of one layer.
    """
    (index,) = {receiver.head.layer for receiver in receivers if receiver.head is not None}
    layer = parts.layers[index]

    def of_some(some: slice) -> Tensor:
        return torch.stack([_through(layer, index, receivers[some], run, window) for run in runs]).mean(dim=0)

    total = halved(of_some, len(receivers))
    ledger.add(len(runs) * stream_gradient_flops(layer, total[0, ..., 0].numel(), len(receivers)))
    return total


def stream_gradient_flops(layer: Layer, rows: float, receivers: int) -> float:
    """One head's projection forwards and backwards, for each receiver."""
    return 4 * rows * receivers * layer.d_head * layer.o.weight.shape[0]


@torch.enable_grad()
def _gradients(
    parts: Parts, item: BatchActivations, pairs: slice, start: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Streams into each layer, gradients at q, k, v and at the end of the last stream."""
    resid = start.detach().requires_grad_()
    streams: list[Tensor] = []
    read: dict[str, list[Tensor]] = {"q": [], "k": [], "v": []}
    for layer in parts.layers:
        streams.append(resid.detach())
        normed = layer.norm_attn(resid)
        q, k, v = layer.queries(normed, 0), layer.keys(normed, 0), layer.values(normed)
        for name, value in zip(read, (q, k, v), strict=True):
            read[name].append(value)
        resid = layer.output(resid, layer.attention_output(layer.attend(q, k, v)))
    end = resid[:, -1]
    metric = read_metric(parts, item.readout.of_pairs(pairs), end)
    *gradients, final = torch.autograd.grad(metric.sum(), [*read["q"], *read["k"], *read["v"], end])
    n_layers = len(parts.layers)
    q, k, v = (torch.stack(gradients[first : first + n_layers]) for first in range(0, 3 * n_layers, n_layers))
    return torch.stack(streams), q, k, v, final


@torch.enable_grad()
def _through(layer: Layer, index: int, receivers: Sequence[Receiver], run: InputGradients, window: Window) -> Tensor:
    """Back through each receiver's projection, then through the norm of all at once."""
    stream = window.of(run.streams[index])
    normed = layer.norm_attn(stream).detach().requires_grad_()
    at_normed = torch.stack([_at_normed(layer, index, receiver, run, normed, window) for receiver in receivers])
    copies = stream.expand(at_normed.shape).detach().clone().requires_grad_()
    return torch.autograd.grad(layer.norm_attn(copies), copies, at_normed)[0]


def _at_normed(
    layer: Layer, index: int, receiver: Receiver, run: InputGradients, normed: Tensor, window: Window
) -> Tensor:
    """``[batch pos d_model]``"""
    gradients = {Input.Q: run.q, Input.K: run.k, Input.V: run.v}[receiver.input]
    own = _own_heads(receiver, run)
    output = layer.heads_input(receiver.input.value, own, normed, window.first)
    return torch.autograd.grad(output, normed, window.of(gradients[index])[..., own, :])[0]


def _own_heads(receiver: Receiver, run: InputGradients) -> slice:
    """The receiver's place among query heads, or among KV heads for k and v."""
    assert receiver.head is not None
    group = 1 if receiver.input is Input.Q else run.q.shape[-2] // run.k.shape[-2]
    place = receiver.head.index // group
    return slice(place, place + 1)


def _count(parts: Parts, item: BatchActivations) -> int:
    """Logits the metric reads."""
    return parts.unembedding.weight.shape[0] if item.readout.tokens is None else len(item.readout.tokens)
