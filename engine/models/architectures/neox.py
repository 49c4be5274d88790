"""GPT-NeoX and Pythia: LayerNorm, biases, partial rotary, attention and MLP parallel or one after the other."""

from __future__ import annotations

from typing import Any

from engine.models.architectures.weights import layer_norm, linear, lookup, plain_mlp, rotary
from engine.models.parts import Layer, Linear, Parts, Rotary


def unknown_part(config: Any) -> str | None:
    # TransformerLens cannot split a joint QKV without biases, so there would be nothing to check against.
    return None if config.attention_bias else "attention without biases (attention_bias is false)"


def copied_parameters(config: Any) -> int:
    """q, k and v lie interleaved by head in one matrix, so each of them alone is a copy."""
    return 3 * config.hidden_size**2 * config.num_hidden_layers


def parts(hf_model: Any) -> Parts:
    body = hf_model.gpt_neox
    table = body.embed_in.weight.detach()
    turn = rotary(body.rotary_emb)
    return Parts(
        embed=lambda tokens: lookup(tokens, table),
        layers=tuple(_layer(block, turn) for block in body.layers),
        final_norm=layer_norm(body.final_layer_norm),
        unembedding=linear(hf_model.lm_head),
    )


def _layer(block: Any, turn: Rotary) -> Layer:
    attn = block.attention
    q, k, v = _split(linear(attn.query_key_value), attn.head_size)
    mlp, mlp_parameters = plain_mlp(linear(block.mlp.dense_h_to_4h), linear(block.mlp.dense_4h_to_h), block.mlp.act)
    return Layer(
        norm_attn=layer_norm(block.input_layernorm),
        q=q,
        k=k,
        v=v,
        o=linear(attn.dense),
        norm_mlp=layer_norm(block.post_attention_layernorm),
        mlp=mlp,
        mlp_parameters=mlp_parameters,
        scale=attn.scaling,
        d_head=attn.head_size,
        rotary=turn,
        parallel=block.use_parallel_residual,
    )


def _split(joint: Linear, d_head: int) -> list[Linear]:
    """q, k and v of rows that lie by head, then by letter, then by channel."""
    assert joint.bias is not None
    weights = joint.weight.unflatten(0, (-1, 3, d_head)).unbind(1)
    biases = joint.bias.unflatten(0, (-1, 3, d_head)).unbind(1)
    return [Linear(weight.flatten(0, 1), bias.flatten()) for weight, bias in zip(weights, biases, strict=True)]
