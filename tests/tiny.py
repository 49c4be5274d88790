"""Tiny random models of each supported architecture, saved to folders like real ones."""

from __future__ import annotations

from pathlib import Path

TINY_KINDS = (
    "gpt2", "llama", "qwen2", "qwen2-windows", "qwen3", "mistral", "gpt_neox", "gpt_neox-sequential", "gptj", "phi",
    "opt", "gemma", "gemma2", "gemma3_text",
)  # fmt: skip
"""A model type of transformers, and after a dash the variant of it."""
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


_LIKE_GPT2 = ("gpt2", "gptj")
_GROUPED = ("llama", "qwen2", "qwen3", "mistral", "phi", "gemma", "gemma2", "gemma3_text")
_OWN = {
    "qwen2-windows": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "qwen3": {"head_dim": 8},
    "mistral": {"sliding_window": 4},
    "gpt_neox": {"rotary_pct": 0.5},
    "gpt_neox-sequential": {"rotary_pct": 0.5, "use_parallel_residual": False},
    "gptj": {"rotary_dim": 4},
    "phi": {"partial_rotary_factor": 0.5},
    "opt": {"ffn_dim": 64, "pad_token_id": None},
    "gemma": {"head_dim": 8},
    "gemma2": {
        "head_dim": 8, "query_pre_attn_scalar": 6, "sliding_window": 4, "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 5.0,
    },
    "gemma3_text": {
        "head_dim": 8, "query_pre_attn_scalar": 6, "sliding_window": 4, "final_logit_softcapping": 5.0,
        "sliding_window_pattern": 2,
    },
}  # fmt: skip
"""Windows that random prompts exceed, soft caps that scores and logits reach, rotary in half of a head."""


def model_type_of(kind: str) -> str:
    """As transformers names it."""
    return kind.partition("-")[0]


def tiny_kv_heads(kind: str) -> int:
    return 2 if model_type_of(kind) in _GROUPED else 4


def tiny_config(kind: str, n_layers: int = 2):
    """Layers of four heads of eight channels, two KV heads where the architecture groups them."""
    from transformers import AutoConfig

    model_type = model_type_of(kind)
    settings = {"vocab_size": TINY_VOCAB, "bos_token_id": 0, "eos_token_id": 0, **_OWN.get(kind, {})}
    if model_type in _LIKE_GPT2:
        settings |= {"n_layer": n_layers, "n_head": 4, "n_embd": 32, "n_positions": TINY_POSITIONS}
    else:
        settings |= {
            "num_hidden_layers": n_layers, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 64,
            "max_position_embeddings": TINY_POSITIONS,
        }  # fmt: skip
    if model_type in _GROUPED:
        settings["num_key_value_heads"] = tiny_kv_heads(kind)
    return AutoConfig.for_model(model_type, **settings)


def save_tiny_model(kind: str, folder: Path, seed: int = 0) -> None:
    """Write a random causal LM with its tokenizer into ``folder``.

    Every parameter is random, biases and norm weights too: at their usual 0 and 1 a code path
    that forgets them would look right.
    """
    random_model(tiny_config(kind), seed).save_pretrained(folder)
    save_tiny_tokenizer(folder)


def random_model(config, seed: int = 0):
    """A causal LM whose every parameter is random."""
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
