"""How the metric answers to each head's z: one backward pass for all heads and positions (SPEED item 7).

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
    tokens = item.batch.clean.to(item.clean.z.device)
    size = max(1, max_rows // tokens.shape[1])
    chunks = [
        _gradients(parts, item, slice(first, first + size), tokens[first : first + size])
        for first in range(0, len(tokens), size)
    ]
    ledger.add(gradient_flops(parts, len(tokens), tokens.shape[1], _count(parts, item)))
    return torch.cat(chunks, dim=1)


@torch.enable_grad()
def _gradients(parts: Parts, item: BatchActivations, pairs: slice, tokens: Tensor) -> Tensor:
    resid = parts.embed(tokens).requires_grad_()
    zs: list[Tensor] = []
    for layer in parts.layers:
        normed = layer.norm_attn(resid)
        zs.append(layer.attend(layer.queries(normed, 0), layer.keys(normed, 0), layer.values(normed)))
        resid = layer.output(resid, layer.attention_output(zs[-1]))
    metric = read_metric(parts, item.readout.of_pairs(pairs), resid[:, -1])
    return torch.stack(torch.autograd.grad(metric.sum(), zs))


def _count(parts: Parts, item: BatchActivations) -> int:
    """Logits the metric reads."""
    return parts.unembedding.weight.shape[0] if item.readout.tokens is None else len(item.readout.tokens)
