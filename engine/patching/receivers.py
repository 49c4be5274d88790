"""From a receiver's patched input to the metric (SPEED items 5 and 6).

1. The receiving head's q (k, v) under each sender's patch, from the shared sweep.
2. Its attention alone, everything else it reads being clean: z of the one query head for q, of the
   whole group for k and v, which a grouped-query model shares.
3. The model resumed live from that layer, only at the positions that can have changed; earlier keys
   and values are the clean ones. The last layer runs its end position only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.activations import BatchActivations, read_metric
from engine.circuit import Input
from engine.cost.ledger import Ledger, attention_flops, block_flops, head_flops, output_flops, unembed_flops
from engine.heads import Head
from engine.models.attention import mix
from engine.models.parts import Parts
from engine.patching.receiver import Receiver
from engine.patching.sweep import Window


def patched_attention(
    parts: Parts, item: BatchActivations, window: Window, index: int, z: Tensor, first_head: int, ledger: Ledger
) -> Tensor:
    """What layer ``index``'s attention writes, ``[sender batch pos d_model]``, for patched z of some heads.

    ``z [sender batch pos head d_head]`` is that of heads ``first_head …``; all others stay clean.
    """
    layer, clean = parts.layers[index], item.clean
    clean_z = window.of(clean.z[index])
    change = z - clean_z[..., first_head : first_head + z.shape[-2], :]
    ledger.add(output_flops(layer, change[..., 0, 0].numel(), change.shape[-2]))
    return layer.changed_output(window.of(clean.attn_out[index]), change, first_head)


def patched_z(
    parts: Parts, item: BatchActivations, window: Window, receiver: Receiver, normed: Tensor, ledger: Ledger
) -> tuple[Tensor, int]:
    """z ``[sender batch pos head d_head]`` of the heads the receiver reaches, and the first of them.

    ``normed [sender batch pos d_model]`` is what the receiver's attention sees at the window's positions.
    """
    head = _head_of(receiver)
    layer, clean = parts.layers[head.layer], item.clean
    group = clean.q.shape[-2] // clean.k.shape[-2]
    kv = slice(head.index // group, head.index // group + 1)
    k, v = clean.k[head.layer][..., kv, :], clean.v[head.layer][..., kv, :]
    heads = slice(head.index, head.index + 1) if receiver.input is Input.Q else slice(kv.start * group, kv.stop * group)
    q = window.of(clean.q[head.layer])[..., heads, :]

    own = slice(head.index, head.index + 1) if receiver.input is Input.Q else kv
    patched = layer.heads_input(receiver.input.value, own, normed, window.first)
    rows = normed[..., 0].numel()
    ledger.add(2 * rows * normed.shape[-1] * layer.d_head)
    # A patched v is mixed by the clean pattern, which is computed once for all senders.
    scored = q[..., 0, 0].numel() if receiver.input is Input.V else rows
    ledger.add(head_flops(layer, (scored + rows) / 2, k.shape[-3], heads.stop - heads.start))
    if receiver.input is Input.V:
        return mix(layer.pattern(q, k), after_clean(v, patched, window)), heads.start
    if receiver.input is Input.Q:
        return layer.attend(patched, k, v), heads.start
    return layer.attend(q, after_clean(k, patched, window), v), heads.start


def after_clean(clean: Tensor, patched: Tensor, window: Window) -> Tensor:
    """Clean keys or values ``[batch pos ...]`` before the window, then the patched ones in it."""
    if window.first == 0:
        return patched
    before = clean[:, : window.first]
    return torch.cat((before.expand(len(patched), *before.shape), patched), dim=-3)


def resume(
    parts: Parts, item: BatchActivations, window: Window, index: int, resid: Tensor, attn_out: Tensor, ledger: Ledger
) -> Tensor:
    """Metric ``[sender batch]`` of the live model from layer ``index`` on.

    ``resid [batch pos d_model]`` is the stream into that layer, ``attn_out [sender batch pos d_model]``
    what its attention writes.
    """
    return resume_after(parts, item, window, index, _through(parts, index, resid, attn_out, ledger), ledger)


def resume_after(
    parts: Parts, item: BatchActivations, window: Window, index: int, resid: Tensor, ledger: Ledger
) -> Tensor:
    """Metric ``[sender batch]`` of the live model above layer ``index``, whose patched stream ``[sender batch pos
    d_model]`` comes out as ``resid``."""
    for above in range(index + 1, len(parts.layers)):
        attn_out = _attention(parts, item, window, above, resid, ledger)
        resid = _through(parts, above, resid, attn_out, ledger)
    tokens = parts.unembedding.weight.shape[0] if item.readout.tokens is None else len(item.readout.tokens)
    ledger.add(unembed_flops(parts, resid[..., 0].numel(), tokens))
    return read_metric(parts, item.readout, resid[..., -1, :])


def _through(parts: Parts, index: int, resid: Tensor, attn_out: Tensor, ledger: Ledger) -> Tensor:
    """The stream out of layer ``index``; of the last layer at the end position only."""
    if index == len(parts.layers) - 1:
        resid, attn_out = resid[..., -1:, :], attn_out[..., -1:, :]
    ledger.add(block_flops(parts.layers[index], resid, attn_out))
    return parts.layers[index].output(resid, attn_out)


def _attention(
    parts: Parts, item: BatchActivations, window: Window, index: int, resid: Tensor, ledger: Ledger
) -> Tensor:
    """What layer ``index``'s live attention writes; at the end position only in the last layer."""
    layer, clean = parts.layers[index], item.clean
    normed = layer.norm_attn(resid)
    k = after_clean(clean.k[index], layer.keys(normed, window.first), window)
    v = after_clean(clean.v[index], layer.values(normed), window)
    first, rows = window.first, normed[..., 0].numel()
    if index == len(parts.layers) - 1:
        first = window.first + resid.shape[-2] - 1
        normed = normed[..., -1:, :]
    ledger.add(attention_flops(layer, normed[..., 0].numel(), rows, k.shape[-3]))
    return layer.attention_output(layer.attend(layer.queries(normed, first), k, v))


def _head_of(receiver: Receiver) -> Head:
    if not isinstance(receiver.head, Head):
        raise ValueError(f"Expected a head's q, k or v, got {receiver}")
    return receiver.head
