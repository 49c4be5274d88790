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


def save_tiny_gguf(folder: Path, path: Path) -> None:
    """Write the tiny llama model and tokenizer of ``folder`` as one .gguf file, weights as float32.

    Done with the format's own writer. GGUF names weights its own way and keeps the two halves of a
    rotary head interleaved, so q and k are permuted as llama.cpp's converter does.
    """
    import json

    import gguf
    from safetensors.torch import load_file

    config = tiny_config("llama")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(TINY_VOCAB)
    _add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"])
    for name, tensor in load_file(folder / "model.safetensors").items():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        n_heads = next((count for part, count in heads.items() if part in name), None)
        if n_heads is not None:
            tensor = tensor.unflatten(0, (n_heads, 2, -1)).transpose(1, 2).flatten(0, 2)
        writer.add_tensor(_gguf_name(name), tensor.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer, bpe: dict) -> None:
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    tokens += [f"<unused{i}>" for i in range(TINY_VOCAB - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, *[1] * (TINY_VOCAB - 1)])  # 3: control, 1: normal
    writer.add_token_merges([" ".join(pair) for pair in bpe["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)


def _gguf_name(name: str) -> str:
    renamed = {
        "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers": "blk",
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    for theirs, ours in renamed.items():
        name = name.replace(theirs, ours)
    return name
