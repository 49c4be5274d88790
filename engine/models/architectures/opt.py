"""OPT: LayerNorm before attention and MLP, biases, learned positions from the third row of their table on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.models.architectures.weights import layer_norm, linear, lookup, plain_mlp
from engine.models.parts import Layer, Parts


def unknown_part(config: Any) -> str | None:
    if not config.do_layer_norm_before:
        return "norms after attention and MLP (do_layer_norm_before is false)"
    if config.word_embed_proj_dim != config.hidden_size:
        return "a projection of the embedding (word_embed_proj_dim differs from hidden_size)"
    if config._remove_final_layer_norm:
        return "no final norm (_remove_final_layer_norm is true)"
    if not config.layer_norm_elementwise_affine:
        return "norms without weights (layer_norm_elementwise_affine is false)"
    return None


def parts(hf_model: Any) -> Parts:
    body = hf_model.model.decoder
    words, places, offset = (
        body.embed_tokens.weight.detach(), body.embed_positions.weight.detach(), body.embed_positions.offset
    )  # fmt: skip

    def embed(tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[-1], device=tokens.device)
        return lookup(tokens, words) + lookup(positions + offset, places)

    return Parts(
        embed=embed,
        layers=tuple(_layer(block) for block in body.layers),
        final_norm=layer_norm(body.final_layer_norm),
        unembedding=linear(hf_model.lm_head),
    )


def _layer(block: Any) -> Layer:
    attn = block.self_attn
    mlp, mlp_parameters = plain_mlp(linear(block.fc1), linear(block.fc2), block.activation_fn)
    return Layer(
        norm_attn=layer_norm(block.self_attn_layer_norm),
        q=linear(attn.q_proj),
        k=linear(attn.k_proj),
        v=linear(attn.v_proj),
        o=linear(attn.out_proj),
        norm_mlp=layer_norm(block.final_layer_norm),
        mlp=mlp,
        mlp_parameters=mlp_parameters,
        scale=attn.scaling,
        d_head=attn.head_dim,
    )
