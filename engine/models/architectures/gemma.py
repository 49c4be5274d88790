"""Gemma: RMSNorm with weights around 0, scaled embedding, rotary, grouped KV heads, gated MLP.

* gemma        norms before attention and MLP
* gemma2       norms after them too, soft caps on scores and logits, sliding windows in every other layer
* gemma3_text  gemma2 with norms of q and k by head, a rotary base for each type of layer, no cap on scores
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engine.models.architectures.weights import gated_mlp, linear, lookup, rotary
from engine.models.parts import Layer, Norm, Parts, Rotary


def unknown_part(config: Any) -> str | None:
    if config.model_type == "gemma3_text" and config.attn_logit_softcapping is not None:
        # transformers reads the value and leaves it out of attention; TransformerLens applies it.
        return "a soft cap on attention scores (attn_logit_softcapping)"
    return None


def parts(hf_model: Any) -> Parts:
    body, config = hf_model.model, hf_model.config
    table = body.embed_tokens.weight.detach()
    scale = body.embed_tokens.embed_scale.to(table.dtype)  # rounded as the model rounds it
    kinds = set(config.layer_types) if config.model_type == "gemma3_text" else ()
    by_type = {kind: rotary(body.rotary_emb, kind) for kind in kinds}
    shared = None if kinds else rotary(body.rotary_emb)

    def turn_of(index: int) -> Rotary:
        return shared or by_type[config.layer_types[index]]

    return Parts(
        embed=lambda tokens: lookup(tokens, table) * scale.to(tokens.device),
        layers=tuple(_layer(block, config, turn_of(index)) for index, block in enumerate(body.layers)),
        final_norm=_norm(body.norm),
        unembedding=linear(hf_model.lm_head),
        logit_softcap=getattr(config, "final_logit_softcapping", None),
    )


def _layer(block: Any, config: Any, turn: Rotary) -> Layer:
    attn = block.self_attn
    mlp, mlp_parameters = gated_mlp(block.mlp)
    has_post_norms, has_qk_norm = config.model_type != "gemma", config.model_type == "gemma3_text"
    return Layer(
        norm_attn=_norm(block.input_layernorm),
        q=linear(attn.q_proj),
        k=linear(attn.k_proj),
        v=linear(attn.v_proj),
        o=linear(attn.o_proj),
        norm_mlp=_norm(block.pre_feedforward_layernorm if has_post_norms else block.post_attention_layernorm),
        mlp=mlp,
        mlp_parameters=mlp_parameters,
        scale=attn.scaling,
        d_head=attn.head_dim,
        rotary=turn,
        q_norm=_norm(attn.q_norm) if has_qk_norm else None,
        k_norm=_norm(attn.k_norm) if has_qk_norm else None,
        softcap=getattr(attn, "attn_logit_softcapping", None),
        window=getattr(attn, "sliding_window", None),
        norm_after_attn=_norm(block.post_attention_layernorm) if has_post_norms else None,
        norm_after_mlp=_norm(block.post_feedforward_layernorm) if has_post_norms else None,
    )


def _norm(module: Any) -> Norm:
    """The model adds 1 to the weight, and normalises in float32 whatever its own precision."""
    weight: Tensor = 1.0 + module.weight.detach().float()
    return Norm(weight, None, module.eps, centred=False)
