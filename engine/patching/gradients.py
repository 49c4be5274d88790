"""How the metric answers to each head's z: one backward pass for all heads and positions (SPEED item 7).
Where MLPs are nodes, the same pass says how it answers to the stream out of each layer.

1. At the clean prompts: a run with nothing frozen, as in pass 2 of path patching, so that a product with a change of
   z is that change's first-order effect.
2. On the way from corrupted to clean: the mean of such gradients at the points k / m (k = 1 … m) of the straight line
   between the two prompts' embeddings (integrated gradients, as in EAP-IG: Hanna et al. 2024, arXiv 2403.17806).
   m = 1 is the first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.activations import BatchActivations, read_metric
from engine.cost.ledger import Ledger, gradient_flops
from engine.machine.chunks import chunked
from engine.models.parts import Parts


def z_gradients(parts: Parts, item: BatchActivations, max_rows: int, ledger: Ledger, share: float = 1.0) -> Tensor:
    """d metric / d z of each prompt, ``[layer batch pos head d_head]``.

    ``max_rows`` (pair x position) are run at once. ``share`` of the way from the corrupted embeddings to the clean.
    """
    return _chunked(parts, item, max_rows, ledger, share, streams=False)[0]


def node_gradients(parts: Parts, item: BatchActivations, max_rows: int, ledger: Ledger) -> tuple[Tensor, Tensor]:
    """``z_gradients``, and d metric / d stream out of each layer, ``[layer batch pos d_model]``.

    The second is also the gradient of what the layer's MLP writes, which is added last.
    """
    z, streams = _chunked(parts, item, max_rows, ledger, 1.0, streams=True)
    return z, streams


def _chunked(
    parts: Parts, item: BatchActivations, max_rows: int, ledger: Ledger, share: float, streams: bool
) -> list[Tensor]:
    count, length = item.batch.clean.shape
    size = max(1, max_rows // length)
    chunks = chunked(lambda pairs: _gradients(parts, item, pairs, share, streams), count, size)
    ledger.add(gradient_flops(parts, count, length, read_count(parts, item)))
    return [torch.cat(values, dim=1) for values in zip(*chunks, strict=True)]


def path_shares(steps: int) -> list[float]:
    """The points of the way at which gradients are taken, corrupted left out and clean included."""
    return [step / steps for step in range(1, steps + 1)]


@torch.enable_grad()
def _gradients(parts: Parts, item: BatchActivations, pairs: slice, share: float, streams: bool) -> list[Tensor]:
    resid = _embedded(parts, item, pairs, share).requires_grad_()
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


def _embedded(parts: Parts, item: BatchActivations, pairs: slice, share: float) -> Tensor:
    """The stream into the first layer, ``[batch pos d_model]``."""
    device = item.clean.z.device
    clean = parts.embed(item.batch.clean[pairs].to(device))
    if share == 1:
        return clean
    return torch.lerp(parts.embed(item.batch.corrupted[pairs].to(device)), clean, share)


def read_count(parts: Parts, item: BatchActivations) -> int:
    """Logits the metric reads."""
    return parts.unembedding.weight.shape[0] if item.readout.tokens is None else len(item.readout.tokens)
