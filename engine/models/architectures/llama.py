"""Llama and its kin: RMSNorm, rotary positions, grouped KV heads, gated MLP.

* llama
* qwen2    biases on q, k and v; sliding windows in some layers, if the config asks for them
* qwen3    qwen2 without those biases, with norms of q and k by head
* mistral  a sliding window in every layer or in none
"""

from __future__ import annotations

from typing import Any

from engine.models.architectures.weights import gated_mlp, linear, lookup, rms_norm, rotary
from engine.models.parts import Layer, Parts, Rotary


def unknown_part(config: Any) -> str | None:
    types = set(getattr(config, "layer_types", None) or ())
    if config.model_type in ("llama", "mistral") and "sliding_attention" in types:
        # transformers reads no layer types in these two, so its model would not be what the config says.
        return "layers of type 'sliding_attention'"
    return None


def parts(hf_model: Any) -> Parts:
    body, config = hf_model.model, hf_model.config
    table = body.embed_tokens.weight.detach()
    turn = rotary(body.rotary_emb)
    return Parts(
        embed=lambda tokens: lookup(tokens, table),
        layers=tuple(_layer(block, config, turn) for block in body.layers),
        final_norm=rms_norm(body.norm),
        unembedding=linear(hf_model.lm_head),
    )


def _layer(block: Any, config: Any, turn: Rotary) -> Layer:
    attn = block.self_attn
    mlp, mlp_parameters = gated_mlp(block.mlp)
    has_qk_norm = config.model_type == "qwen3"
    return Layer(
        norm_attn=rms_norm(block.input_layernorm),
        q=linear(attn.q_proj),
        k=linear(attn.k_proj),
        v=linear(attn.v_proj),
        o=linear(attn.o_proj),
        norm_mlp=rms_norm(block.post_attention_layernorm),
        mlp=mlp,
        mlp_parameters=mlp_parameters,
        scale=attn.scaling,
        d_head=attn.head_dim,
        rotary=turn,
        q_norm=rms_norm(attn.q_norm) if has_qk_norm else None,
        k_norm=rms_norm(attn.k_norm) if has_qk_norm else None,
        window=config.sliding_window if config.model_type == "mistral" else getattr(attn, "sliding_window", None),
    )
