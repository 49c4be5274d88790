"""Tiny random models of architectures whose parts are not known: they run through hooks alone."""

from __future__ import annotations

from pathlib import Path

from tests.tiny import TINY_POSITIONS, TINY_VOCAB, save_tiny_tokenizer

HOOKED_KINDS = ("gpt_neo", "bloom")
"""Learned positions with local attention in every second layer; ALiBi and a residual inside the attention."""


def hooked_config(kind: str):
    """Two layers of four heads of eight channels."""
    from transformers import BloomConfig, GPTNeoConfig

    shared = {"vocab_size": TINY_VOCAB, "bos_token_id": 0, "eos_token_id": 0, "hidden_size": 32}
    if kind == "bloom":
        return BloomConfig(n_layer=2, n_head=4, **shared)
    return GPTNeoConfig(
        num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], window_size=4,
        max_position_embeddings=TINY_POSITIONS, **shared,
    )  # fmt: skip


def random_model(config, seed: int = 0):
    """A causal LM with every parameter random, biases too; norm weights around 1."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm_weight = "ln_" in name or "norm" in name
            parameter.copy_(1 + 0.2 * noise if is_norm_weight and name.endswith("weight") else 0.25 * noise)
    return model


def save_hooked_model(kind: str, folder: Path) -> None:
    """Write such a model with its tokenizer into ``folder``."""
    random_model(hooked_config(kind)).save_pretrained(folder)
    save_tiny_tokenizer(folder)
