import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.activations import capture, run
from engine.errors import HeadlightError
from engine.models.bridge import hook_name
from engine.tasks.prompts import Metric, PromptPair, Prompts
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS, TINY_POSITIONS, TINY_VOCAB

TOKENS = torch.randint(1, TINY_VOCAB, (3, 11), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", TINY_KINDS)
@torch.no_grad()
def test_our_forward_is_the_models_own(tiny_model, tiny_model_folder, kind):
    model = tiny_model(kind)
    theirs = AutoModelForCausalLM.from_pretrained(tiny_model_folder(kind))  # not wrapped by a bridge
    logits = model.parts.unembed(run(model.parts, TOKENS).resid_final)
    torch.testing.assert_close(logits, theirs(TOKENS).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", TINY_KINDS)
@torch.no_grad()
def test_z_and_v_are_what_transformer_lens_hooks_see(tiny_model, kind):
    model = tiny_model(kind)
    forward = run(model.parts, TOKENS)
    with model.lock:
        _, cache = model.bridge.run_with_cache(TOKENS)
    for layer in range(model.n_layers):
        for point in ("z", "v"):
            torch.testing.assert_close(
                getattr(forward, point)[layer], cache[hook_name(layer, point)].view_as(getattr(forward, point)[layer]),
                atol=1e-4, rtol=1e-4,
            )


def test_metrics_come_back_in_the_order_of_the_prompts(tiny_model):
    model, prompts = tiny_model("gpt2"), random_prompts(n=6)
    shuffled = Prompts(prompts.task, prompts.metric, tuple(reversed(prompts.pairs)))
    straight, reverse = capture(model, prompts), capture(model, shuffled)
    for name in ("clean_metric", "corrupted_metric"):
        torch.testing.assert_close(straight.by_pair(name), reverse.by_pair(name).flip(0), atol=1e-5, rtol=1e-5)
    assert straight.clean == pytest.approx(reverse.clean, abs=1e-6)
    assert straight.clean == pytest.approx(straight.by_pair("clean_metric").mean().item(), abs=1e-6)


@torch.no_grad()
def test_the_metric_is_read_at_the_end_position(tiny_model):
    model = tiny_model("llama")
    pair = PromptPair("", "", (5, 6, 7), (5, 8, 7), (9,), (10,), 0)
    activations = capture(model, Prompts("x", Metric.LOGIT_DIFF, (pair,)))
    logits = model.hf_model(torch.tensor([[5, 6, 7]])).logits[0, -1]
    assert activations.clean == pytest.approx((logits[9] - logits[10]).item(), abs=1e-4)


def test_a_token_the_model_has_no_embedding_for_is_refused(tiny_model):
    prompts = Prompts("x", Metric.LOGIT_DIFF, (PromptPair("", "", (1, 2), (1, TINY_VOCAB), (1,), (2,), 0),))
    with pytest.raises(HeadlightError, match=f"token {TINY_VOCAB} .* no embedding for"):
        capture(tiny_model("gpt2"), prompts)


def test_a_prompt_longer_than_the_model_is_refused(tiny_model):
    tokens = tuple(range(1, TINY_POSITIONS + 2))
    prompts = Prompts("x", Metric.LOGIT_DIFF, (PromptPair("", "", tokens, tokens, (1,), (2,), 0),))
    with pytest.raises(HeadlightError, match=f"{TINY_POSITIONS + 1} tokens .* at most {TINY_POSITIONS}"):
        capture(tiny_model("gpt2"), prompts)
