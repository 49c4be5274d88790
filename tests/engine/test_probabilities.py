"""Probabilities of answer and distractor against a plain softmax of a plain run."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from engine.activations import UNEMBEDDED_TOGETHER, capture, pair_probabilities
from engine.metrics import end_probabilities
from engine.models.loading import load_model
from engine.models.model import Model
from engine.tasks.prompts import Metric, PromptPair
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS


@torch.no_grad()
def plain(model: Model, pair: PromptPair) -> torch.Tensor:
    """``[run 2]`` from the Hugging Face model itself."""
    rows = []
    for tokens in (pair.clean_tokens, pair.corrupted_tokens):
        odds = model.hf_model(torch.tensor([tokens])).logits[0, -1].softmax(-1)
        rows.append([float(odds[list(ids)].sum()) for ids in (pair.answer_tokens, pair.distractor_tokens)])
    return torch.tensor(rows)


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_probabilities_are_those_of_the_model(tiny_model, kind):
    model, prompts = tiny_model(kind), random_prompts()
    found = pair_probabilities(model, capture(model, prompts))
    assert_close(found, torch.stack([plain(model, pair) for pair in prompts.pairs]), atol=1e-5, rtol=0)


def test_hooks_and_chunks_give_the_same(tiny_model, tiny_model_folder, monkeypatch):
    model, prompts = tiny_model("gpt2"), random_prompts()
    expected = pair_probabilities(model, capture(model, prompts))
    monkeypatch.setattr("engine.activations.UNEMBEDDED_TOGETHER", 2)
    assert UNEMBEDDED_TOGETHER > 2
    assert_close(pair_probabilities(model, capture(model, prompts)), expected)
    fresh = load_model(str(tiny_model_folder("gpt2")))  # a second bridge would take the shared model's hooks away
    hooked = Model("hooked", fresh.hf_model, fresh.tokenizer, hooked=True)
    assert_close(pair_probabilities(hooked, capture(hooked, prompts)), expected, atol=1e-5, rtol=0)


def test_their_difference_is_the_probability_metric(tiny_model):
    activations = capture(tiny_model("gpt2"), random_prompts(Metric.PROB_DIFF))
    found = pair_probabilities(tiny_model("gpt2"), activations)
    assert_close(found[:, 0, 0] - found[:, 0, 1], activations.by_pair("clean_metric"), atol=1e-6, rtol=0)
    assert_close(found[:, 1, 0] - found[:, 1, 1], activations.by_pair("corrupted_metric"), atol=1e-6, rtol=0)


def test_several_tokens_are_added_up():
    # softmax of log(1, 2, 3, 4) = .1, .2, .3, .4
    pair = PromptPair("", "", (0,), (0,), answer_tokens=(1, 3), distractor_tokens=(0, 2), template_group=0)
    found = end_probabilities(torch.tensor([[1.0, 2.0, 3.0, 4.0]]).log(), [pair])
    assert_close(found, torch.tensor([[0.6, 0.4]]))
