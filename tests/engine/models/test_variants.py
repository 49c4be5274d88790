"""What a config may ask for within a known architecture: biases, other activations, rotary scaling, no windows."""

import pytest
import torch
from transformers import AutoConfig, AutoTokenizer

from engine.activations import capture, run
from engine.models.model import Model
from engine.trust.self_check import self_check
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_VOCAB, model_type_of, random_model, tiny_config

TOKENS = torch.randint(1, TINY_VOCAB, (2, 12), generator=torch.Generator().manual_seed(0))
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
VARIANTS = [
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True, "tie_word_embeddings": False}),
    ("gpt2", {"reorder_and_upcast_attn": True, "activation_function": "relu"}),
    ("llama", {"attention_bias": True, "mlp_bias": True, "rope_parameters": LLAMA3}),
    ("qwen2", {"rope_parameters": LLAMA3 | {"rope_type": "yarn"}}),
    ("mistral", {"sliding_window": None, "head_dim": 16, "rope_parameters": LINEAR}),
    ("qwen3", {"attention_bias": True, "head_dim": 16}),
    ("gpt_neox", {"rope_parameters": LINEAR | {"partial_rotary_factor": 0.5}, "hidden_act": "gelu_fast"}),
    ("gpt_neox-sequential", {"rope_parameters": PLAIN | {"partial_rotary_factor": 1.0}}),
    ("gptj", {"rotary_dim": 8}),
    ("phi", {"num_key_value_heads": 4, "hidden_act": "relu", "tie_word_embeddings": True}),
    ("opt", {"enable_bias": False, "activation_function": "gelu"}),
    ("gemma", {"attention_bias": True, "tie_word_embeddings": False, "num_key_value_heads": 1}),
    ("gemma2", {"attn_logit_softcapping": None, "final_logit_softcapping": None, "head_dim": 12}),
    ("gemma3_text", {"rope_parameters": {"full_attention": LINEAR, "sliding_attention": PLAIN}}),
]


@pytest.mark.parametrize(("kind", "changes"), VARIANTS)
@torch.no_grad()
def test_variants_are_exact_too(tiny_model_folder, kind, changes):
    settings = tiny_config(kind).to_dict() | changes
    del settings["model_type"]
    hf_model = random_model(AutoConfig.for_model(model_type_of(kind), **settings))
    model = Model(kind, hf_model, AutoTokenizer.from_pretrained(tiny_model_folder(kind)))
    ours = model.parts.unembed(run(model.parts, TOKENS).resid_final)
    torch.testing.assert_close(ours, hf_model(TOKENS).logits, atol=1e-4, rtol=1e-4)
    assert self_check(model, capture(model, random_prompts())).largest < 1e-4
