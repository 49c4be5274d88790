"""The closer look at a head on architectures with more than scores, a mask and one norm."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.activations import capture
from engine.behaviour.head_card import attention_pattern, head_writes
from engine.heads import Head
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_VOCAB

TOKENS = torch.randint(1, TINY_VOCAB, (9,), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["llama", "mistral", "gptj", "gemma2", "gemma3_text"])
@torch.no_grad()
def test_the_attention_shown_is_the_models_own(tiny_model, tiny_model_folder, kind):
    theirs = AutoModelForCausalLM.from_pretrained(tiny_model_folder(kind), attn_implementation="eager")
    attentions = theirs(TOKENS[None], output_attentions=True).attentions
    for head in (Head(0, 1), Head(1, 3)):
        ours = attention_pattern(tiny_model(kind), tuple(TOKENS.tolist()), head)
        torch.testing.assert_close(ours, attentions[head.layer][0, head.index], atol=1e-5, rtol=0)


@torch.no_grad()
def test_what_a_head_writes_passes_the_norm_after_attention(tiny_model, tiny_model_folder):
    """By transformers' weights: W_O z, divided by the scale and times the weight of both norms."""
    model, head = tiny_model("gemma2"), Head(0, 2)
    activations = capture(model, random_prompts(n=1))
    [raised, *_], _ = head_writes(SimpleNamespace(model=model, activations=activations, prompts=[0]), head, 1)

    theirs = AutoModelForCausalLM.from_pretrained(tiny_model_folder("gemma2"))
    block, clean = theirs.model.layers[0], activations.batches[0].clean
    z = clean.z[0, 0, -1]
    alone = torch.zeros_like(z)
    alone[head.index] = z[head.index]
    added = block.self_attn.o_proj(alone.flatten()) * (1 + block.post_attention_layernorm.weight)
    added /= block.self_attn.o_proj(z.flatten()).square().mean().sqrt()
    normed = added * (1 + theirs.model.norm.weight) / clean.resid_final[0, -1].square().mean().sqrt()
    logits = theirs.lm_head(normed)
    assert raised.token == int(logits.argmax())
    assert raised.logits == pytest.approx(logits.max().item(), rel=1e-4)
