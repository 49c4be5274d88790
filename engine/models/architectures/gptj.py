"""GPT-J: attention and MLP parallel under one shared LayerNorm, rotary of neighbouring channels in part of a head."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engine.models.architectures.weights import layer_norm, linear, lookup, plain_mlp
from engine.models.parts import Layer, Parts, Rotary


def unknown_part(config: Any) -> str | None:
    return None if config.rotary_dim else "no rotary_dim"


def parts(hf_model: Any) -> Parts:
    body = hf_model.transformer
    table, module = body.wte.weight.detach(), body.rotary_emb

    def tables(positions: Tensor) -> tuple[Tensor, Tensor]:
        places = positions[None].to(module.embed_positions.device)
        sin, cos = module(table, places)  # one column a plane; of the first argument only the dtype is read
        return cos[0].repeat_interleave(2, dim=-1), sin[0].repeat_interleave(2, dim=-1)

    turn = Rotary(tables, adjacent=True)
    return Parts(
        embed=lambda tokens: lookup(tokens, table),
        layers=tuple(_layer(block, turn) for block in body.h),
        final_norm=layer_norm(body.ln_f),
        unembedding=linear(hf_model.lm_head),
    )


def _layer(block: Any, turn: Rotary) -> Layer:
    attn, norm = block.attn, layer_norm(block.ln_1)
    mlp, mlp_parameters = plain_mlp(linear(block.mlp.fc_in), linear(block.mlp.fc_out), block.mlp.act)
    return Layer(
        norm_attn=norm,
        q=linear(attn.q_proj),
        k=linear(attn.k_proj),
        v=linear(attn.v_proj),
        o=linear(attn.out_proj),
        norm_mlp=norm,
        mlp=mlp,
        mlp_parameters=mlp_parameters,
        scale=attn.scaling,
        d_head=attn.head_dim,
        rotary=turn,
        parallel=True,
    )
