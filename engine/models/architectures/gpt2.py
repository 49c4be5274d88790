"""GPT-2: LayerNorm, biases, learned positions, joint QKV stored as Conv1D."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.models.architectures.weights import conv1d, layer_norm, linear, lookup, plain_mlp
from engine.models.parts import Layer, Parts


def unknown_part(config: Any) -> str | None:
    # TransformerLens scales scores whatever the config says, so there would be nothing to check against.
    return None if config.scale_attn_weights else "unscaled attention scores (scale_attn_weights is false)"


def parts(hf_model: Any) -> Parts:
    body, config = hf_model.transformer, hf_model.config
    wte, wpe = body.wte.weight.detach(), body.wpe.weight.detach()

    def embed(tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[-1], device=tokens.device)
        return lookup(tokens, wte) + lookup(positions, wpe)

    return Parts(
        embed=embed,
        layers=tuple(_layer(block, config) for block in body.h),
        final_norm=layer_norm(body.ln_f),
        unembedding=linear(hf_model.lm_head),
    )


def _layer(block: Any, config: Any) -> Layer:
    d_model = config.hidden_size
    joint = conv1d(block.attn.c_attn)
    mlp, mlp_parameters = plain_mlp(conv1d(block.mlp.c_fc), conv1d(block.mlp.c_proj), block.mlp.act)
    return Layer(
        norm_attn=layer_norm(block.ln_1),
        q=joint.rows(0, d_model),
        k=joint.rows(d_model, d_model),
        v=joint.rows(2 * d_model, d_model),
        o=conv1d(block.attn.c_proj),
        norm_mlp=layer_norm(block.ln_2),
        mlp=mlp,
        mlp_parameters=mlp_parameters,
        scale=block.attn.scaling,
        d_head=d_model // config.num_attention_heads,
    )
