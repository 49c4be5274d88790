"""What is measured: random models of GPT-2's shape, the bundled model, and prompts for them."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.activations import run
from engine.heads import Head
from engine.hooked import end_logits
from engine.models.loading import load_model
from engine.models.model import Model
from engine.prepare import task_prompts, warm_up
from engine.settings import Settings
from engine.tasks.prompts import Metric, PromptPair, Prompts

TOKENS = 15  # of an IOI prompt, roughly
DIFFERING = (2, 4, 9, 10, 11)  # positions at which random pairs differ
BUNDLED = "smollm2-135m"
TOY = "toy-induction"
QUICK_TASK = "induction-random"


@dataclass(frozen=True)
class Subject:
    """A model, its prompts, a late head to receive, and longer prompts for the logits stage."""

    model: Model
    prompts: Prompts
    late: Head
    long: Prompts


def gpt2_like(layers: int, heads: int, d_head: int = 64, vocab: int = 50257, name: str = "") -> Model:
    """GPT-2's architecture with random weights: speed does not depend on their values."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=layers, n_head=heads, n_embd=heads * d_head, vocab_size=vocab, bos_token_id=0, eos_token_id=0
    )
    tokenizer = load_model(TOY).tokenizer  # the bridge wants one; random prompts are token ids
    return Model(name or f"{layers} x {heads} heads, random", GPT2LMHeadModel(config), tokenizer)


def gpt2_shape() -> Model:
    return gpt2_like(12, 12, name="GPT-2 small shape, random")


def bundled() -> Model:
    return load_model(BUNDLED)


def toy() -> Model:
    return load_model(TOY)


def random_prompts(model: Model, pairs: int, tokens: int = TOKENS) -> Prompts:
    """Pairs of random tokens, 12 or more, that differ at the positions ``DIFFERING``.

    Answer and distractor are the tokens whose logits the corruption lowers and raises most: of two at random
    the difference may be nearly nothing, and it is the unit of f.
    """
    rng = random.Random(0)
    clean = [[rng.randrange(model.vocab_size) for _ in range(tokens)] for _ in range(pairs)]
    corrupted = [
        [rng.randrange(model.vocab_size) if i in DIFFERING else token for i, token in enumerate(prompt)]
        for prompt in clean
    ]
    change = _end_logits(model, corrupted) - _end_logits(model, clean)
    told = zip(clean, corrupted, change.argmin(1).tolist(), change.argmax(1).tolist(), strict=True)
    drawn = [PromptPair("", "", tuple(a), tuple(b), (answer,), (other,), 0) for a, b, answer, other in told]
    return Prompts("random", Metric.LOGIT_DIFF, tuple(drawn))


@torch.no_grad()
def _end_logits(model: Model, prompts: list[list[int]]) -> Tensor:
    """``[pair vocab]``"""
    return model.parts.unembed(run(model.parts, torch.tensor(prompts)).resid_final[:, -1])


def ioi_prompts(model: Model, pairs: int) -> Prompts:
    return task_prompts(model, Settings(pairs=pairs), seed=0)


def warm(model: Model, prompts: Prompts) -> None:
    """Boot the hooks and run one prompt both ways, so that no measurement pays for it."""
    with torch.no_grad():
        warm_up(model, prompts)
        end_logits(model, next(prompts.batches()).clean[:1])
