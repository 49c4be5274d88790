"""The two models measured: GPT-2 small's shape with random weights, and the bundled model."""

from __future__ import annotations

import random

import torch

from engine.models.loading import load_model
from engine.models.model import Model
from engine.prepare import task_prompts
from engine.settings import Settings
from engine.tasks.prompts import Metric, PromptPair, Prompts

GPT2_TOKENS = 15


def gpt2_shape() -> Model:
    """12 layers of 12 heads, d_model 768, random weights: speed does not depend on their values."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    tokenizer = load_model("toy-induction").tokenizer  # the bridge wants one; prompts below are token ids
    return Model("GPT-2 small shape, random", GPT2LMHeadModel(GPT2Config()), tokenizer)


def random_prompts(model: Model, pairs: int) -> Prompts:
    """``pairs`` pairs of 15 random tokens that differ in five places, the first of them at position 2."""
    rng = random.Random(0)
    return Prompts("random", Metric.LOGIT_DIFF, tuple(_random_pair(rng, model.vocab_size) for _ in range(pairs)))


def _random_pair(rng: random.Random, vocab: int) -> PromptPair:
    clean = [rng.randrange(vocab) for _ in range(GPT2_TOKENS)]
    corrupted = [rng.randrange(vocab) if i in (2, 4, 9, 10, 11) else token for i, token in enumerate(clean)]
    answer, distractor = rng.sample(range(vocab), 2)
    return PromptPair("", "", tuple(clean), tuple(corrupted), (answer,), (distractor,), 0)


def bundled() -> Model:
    return load_model("smollm2-135m")


def ioi_prompts(model: Model, pairs: int) -> Prompts:
    return task_prompts(model, Settings(pairs=pairs), seed=0)
