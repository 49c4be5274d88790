"""How the metric answers to each head's z: one backward pass for all heads and positions (SPEED item 7).
Where MLPs are nodes, the same pass says how it answers to the stream out of each layer.

The clean run with nothing frozen, as in pass 2 of path patching, so that a product with a change of z
is that change's first-order effect.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.activations import BatchActivations, read_metric
from engine.cost import Ledger, gradient_flops
from engine.models.parts import Parts


def z_gradients(parts: Parts, item: BatchActivations, max_rows: int, ledger: Ledger) -> Tensor:
    """d metric / d z of each clean prompt, ``[layer batch pos head d_head]``.

    ``max_rows`` (pair x position) are run at once.
    """
    return _chunked(parts, item, max_rows, ledger, streams=False)[0]


def node_gradients(parts: Parts, item: BatchActivations, max_rows: int, ledger: Ledger) -> tuple[Tensor, Tensor]:
    """``z_gradients``, and d metric / d stream out of each layer, ``[layer batch pos d_model]``.

    The second is also the gradient of what the layer's MLP writes, which is added last.
    """
    z, streams = _chunked(parts, item, max_rows, ledger, streams=True)
    return z, streams


def _chunked(parts: Parts, item: BatchActivations, max_rows: int, ledger: Ledger, streams: bool) -> list[Tensor]:
    tokens = item.batch.clean.to(item.clean.z.device)
    size = max(1, max_rows // tokens.shape[1])
    chunks = [
        _gradients(parts, item, slice(first, first + size), tokens[first : first + size], streams)
        for first in range(0, len(tokens), size)
    ]
    ledger.add(gradient_flops(parts, len(tokens), tokens.shape[1], _count(parts, item)))
    return [torch.cat(values, dim=1) for values in zip(*chunks, strict=True)]


@torch.enable_grad()
def _gradients(parts: Parts, item: BatchActivations, pairs: slice, tokens: Tensor, streams: bool) -> list[Tensor]:
    resid = parts.embed(tokens).requires_grad_()
    zs: list[Tensor] = []
    outs: list[Tensor] = []
    for layer in parts.layers:
        normed = layer.norm_attn(resid)
        zs.append(layer.attend(layer.queries(normed, 0), layer.keys(normed, 0), layer.values(normed)))
        resid = layer.output(resid, layer.attention_output(zs[-1]))
        outs.append(resid)
    metric = read_metric(parts, item.readout.of_pairs(pairs), resid[:, -1])
    found = torch.autograd.grad(metric.sum(), [*zs, *outs] if streams else zs)
    kinds = (found[: len(zs)], found[len(zs) :])
    return [torch.stack(values) for values in kinds if values]


def _count(parts: Parts, item: BatchActivations) -> int:
    """Logits the metric reads."""
    return parts.unembedding.weight.shape[0] if item.readout.tokens is None else len(item.readout.tokens)
