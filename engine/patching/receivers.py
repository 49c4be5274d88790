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
from engine.cost import Ledger, attention_flops, head_flops, mlp_flops, unembed_flops
from engine.heads import Head
from engine.models.attention import attend, mix, pattern
from engine.models.parts import Parts
from engine.patching.receiver import Receiver
from engine.patching.sweep import Window


def received_metric(
    parts: Parts, item: BatchActivations, window: Window, receiver: Receiver, stream: Tensor, ledger: Ledger
) -> Tensor:
    """Metric ``[sender batch]`` when only ``receiver`` sees ``stream [sender batch pos d_model]``.

    ``stream`` is the stream into the receiver's layer at the window's positions.
    """
    head = _head_of(receiver)
    z, first_head = patched_z(parts, item, window, receiver, stream, ledger)
    layer = parts.layers[head.layer]
    clean_z = window.of(item.clean.z[head.layer])[..., first_head : first_head + z.shape[-2], :]
    clean_mid = window.of(item.clean.resid_pre[head.layer] + item.clean.attn_out[head.layer])
    resid_mid = clean_mid + layer.heads_output(z - clean_z, first_head)
    return resume(parts, item, window, head.layer, resid_mid, ledger)


def patched_z(
    parts: Parts, item: BatchActivations, window: Window, receiver: Receiver, stream: Tensor, ledger: Ledger
) -> tuple[Tensor, int]:
    """z ``[sender batch pos head d_head]`` of the heads the receiver reaches, and the first of them."""
    head = _head_of(receiver)
    layer, clean = parts.layers[head.layer], item.clean
    group = clean.q.shape[-2] // clean.k.shape[-2]
    kv = slice(head.index // group, head.index // group + 1)
    k, v = clean.k[head.layer][..., kv, :], clean.v[head.layer][..., kv, :]
    heads = slice(head.index, head.index + 1) if receiver.input is Input.Q else slice(kv.start * group, kv.stop * group)
    q = window.of(clean.q[head.layer])[..., heads, :]

    index = head.index if receiver.input is Input.Q else kv.start
    project = layer.projection(receiver.input.value, index)
    patched = project(layer.norm_attn(stream)).unsqueeze(-2)  # sender batch pos 1 d_head
    rows = stream[..., 0].numel()
    ledger.add(2 * rows * project.weight.numel() + head_flops(layer, rows, k.shape[-3], heads.stop - heads.start))
    if receiver.input is Input.V:
        return mix(pattern(q, k, layer.scale), after_clean(v, patched, window)), heads.start
    patched = parts.rotate(patched, window.first)
    if receiver.input is Input.Q:
        return attend(patched, k, v, layer.scale), heads.start
    return attend(q, after_clean(k, patched, window), v, layer.scale), heads.start


def after_clean(clean: Tensor, patched: Tensor, window: Window) -> Tensor:
    """Clean keys or values ``[batch pos ...]`` before the window, then the patched ones in it."""
    if window.first == 0:
        return patched
    before = clean[:, : window.first]
    return torch.cat((before.expand(len(patched), *before.shape), patched), dim=-3)


def resume(
    parts: Parts, item: BatchActivations, window: Window, index: int, resid_mid: Tensor, ledger: Ledger
) -> Tensor:
    """Metric ``[sender batch]`` of the live model from the stream after layer ``index``'s attention."""
    last = len(parts.layers) - 1
    while True:
        layer = parts.layers[index]
        if index == last:
            resid_mid = resid_mid[..., -1:, :]
        ledger.add(mlp_flops(layer, resid_mid[..., 0].numel()))
        resid = resid_mid + layer.mlp_output(resid_mid)
        if index == last:
            break
        index += 1
        resid_mid = _attention(parts, item, window, index, resid, ledger)
    tokens = parts.unembedding.weight.shape[0] if item.readout.tokens is None else len(item.readout.tokens)
    ledger.add(unembed_flops(parts, resid[..., 0].numel(), tokens))
    return read_metric(parts, item.readout, resid[..., -1, :])


def _attention(
    parts: Parts, item: BatchActivations, window: Window, index: int, resid: Tensor, ledger: Ledger
) -> Tensor:
    """The stream after layer ``index``'s live attention; its end position only in the last layer."""
    layer, clean = parts.layers[index], item.clean
    normed = layer.norm_attn(resid)
    k = after_clean(clean.k[index], parts.rotate(layer.keys(normed), window.first), window)
    v = after_clean(clean.v[index], layer.values(normed), window)
    first = window.first
    if index == len(parts.layers) - 1:
        first = window.first + resid.shape[-2] - 1
        resid, normed = resid[..., -1:, :], normed[..., -1:, :]
    q = parts.rotate(layer.queries(normed), first)
    ledger.add(attention_flops(layer, k[..., window.first :, 0, 0].numel(), k.shape[-3]))
    return resid + layer.attention_output(attend(q, k, v, layer.scale))


def _head_of(receiver: Receiver) -> Head:
    if receiver.head is None:
        raise ValueError("The logits have no attention head; use the end-position sweep")
    return receiver.head
