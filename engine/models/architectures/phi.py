"""Phi-1 to Phi-2: attention and MLP parallel under one shared LayerNorm, partial rotary, biases up to the logits."""

from __future__ import annotations

from typing import Any

from engine.models.architectures.weights import layer_norm, linear, lookup, plain_mlp, rotary
from engine.models.parts import Layer, Parts, Rotary


def unknown_part(config: Any) -> str | None:
    # TransformerLens cannot wrap a Phi that has them, so there would be nothing to check against.
    return "norms of queries and keys (qk_layernorm)" if config.qk_layernorm else None


def parts(hf_model: Any) -> Parts:
    body = hf_model.model
    table = body.embed_tokens.weight.detach()
    turn = rotary(body.rotary_emb)
    return Parts(
        embed=lambda tokens: lookup(tokens, table),
        layers=tuple(_layer(block, turn) for block in body.layers),
        final_norm=layer_norm(body.final_layernorm),
        unembedding=linear(hf_model.lm_head),
    )


def _layer(block: Any, turn: Rotary) -> Layer:
    attn, norm = block.self_attn, layer_norm(block.input_layernorm)
    mlp, mlp_parameters = plain_mlp(linear(block.mlp.fc1), linear(block.mlp.fc2), block.mlp.activation_fn)
    return Layer(
        norm_attn=norm,
        q=linear(attn.q_proj),
        k=linear(attn.k_proj),
        v=linear(attn.v_proj),
        o=linear(attn.dense),
        norm_mlp=norm,
        mlp=mlp,
        mlp_parameters=mlp_parameters,
        scale=attn.scaling,
        d_head=attn.head_dim,
        rotary=turn,
        parallel=True,
    )
