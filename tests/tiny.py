"""Tiny random models of each supported architecture, saved to folders like real ones."""

from __future__ import annotations

from pathlib import Path

TINY_KINDS = ("gpt2", "llama", "qwen2")
TINY_WORDS = tuple(consonant + vowel for consonant in "bdklmnrstv" for vowel in "aeiou")
"""Single tokens of every tiny model, with and without a leading space; all else falls into bytes."""
TINY_END_OF_TEXT = "<|endoftext|>"  # id 0, also begin of text
TINY_VOCAB = 360  # end of text, 256 bytes, 50 words, 50 words with a space, 3 ids without a token
TINY_POSITIONS = 64


def save_tiny_tokenizer(folder: Path) -> None:
    """Write a byte-level BPE tokenizer that knows TINY_WORDS into ``folder``.

    Byte-level, because transformers gives every model of type qwen2 that kind of splitting whatever its files say.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    space = "\u0120"  # how byte-level BPE writes a leading space
    tokens = [TINY_END_OF_TEXT, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = [(word[0], word[1]) for word in TINY_WORDS] + [(space, word) for word in TINY_WORDS]
    tokens += [left + right for left, right in merges]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=TINY_END_OF_TEXT, bos_token=TINY_END_OF_TEXT
    ).save_pretrained(str(folder))


def tiny_config(kind: str):
    """Two layers of four heads of eight channels; llama and qwen2 with two KV heads."""
    from transformers import GPT2Config, LlamaConfig, Qwen2Config

    shared = {"vocab_size": TINY_VOCAB, "bos_token_id": 0, "eos_token_id": 0}
    if kind == "gpt2":
        return GPT2Config(n_layer=2, n_head=4, n_embd=32, n_positions=TINY_POSITIONS, **shared)
    config_class = {"llama": LlamaConfig, "qwen2": Qwen2Config}[kind]
    return config_class(
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, hidden_size=32,
        intermediate_size=64, max_position_embeddings=TINY_POSITIONS, **shared,
    )


def save_tiny_model(kind: str, folder: Path, seed: int = 0) -> None:
    """Write a random causal LM with its tokenizer into ``folder``.

    Every parameter is random, biases and norm weights too: at their usual 0 and 1 a code path
    that forgets them would look right.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(tiny_config(kind), dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm_weight = "ln_" in name or "norm" in name
            parameter.copy_(1 + 0.2 * noise if is_norm_weight and name.endswith("weight") else 0.25 * noise)
    model.save_pretrained(folder)
    save_tiny_tokenizer(folder)
