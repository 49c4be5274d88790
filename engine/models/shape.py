"""How large a model is: the numbers every stage asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.models.parts import Parts


@dataclass(frozen=True)
class Shape:
    """``n_heads`` query heads and ``n_kv_heads`` a layer; ``max_positions``: longest prompt in tokens."""

    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    vocab_size: int
    max_positions: int


def shape_of_parts(parts: Parts, config: Any) -> Shape:
    """The shape of a model whose parts are known."""
    layer = parts.layers[0]
    return Shape(
        n_layers=len(parts.layers),
        n_heads=config.num_attention_heads,
        n_kv_heads=layer.k.weight.shape[0] // layer.d_head,
        d_model=config.hidden_size,
        d_head=layer.d_head,
        vocab_size=parts.unembedding.weight.shape[0],
        max_positions=config.max_position_embeddings,
    )
