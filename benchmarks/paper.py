"""A large model on paper: built from its config alone on torch's meta device, which has shapes but no memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from engine.activations import Activations, BatchActivations, run
from engine.cost.ledger import forward_flops
from engine.metrics import Readout
from engine.models.model import Model
from engine.tasks.prompts import Metric, PromptPair, Prompts

NAME = "Qwen2.5-7B"
TOKENS = 15  # of an IOI prompt, roughly
FIRST_DIFFERENCE = 1  # "When Mary": the first name is the second token
NAMES = 100  # tokens IOI's answers and distractors are drawn from


@dataclass(frozen=True, eq=False)
class Paper:
    """The model on paper with ``pairs`` prompts run through it."""

    model: Model
    prompts: Prompts
    activations: Activations

    @property
    def items(self) -> tuple[BatchActivations, ...]:
        return self.activations.batches

    @property
    def pass_flops(self) -> float:
        return forward_flops(self.model.parts, self.prompts)


def qwen_config() -> Any:
    """Qwen2.5-7B's, written out: nothing is fetched."""
    from transformers import Qwen2Config

    return Qwen2Config(
        num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, hidden_size=3584,
        intermediate_size=18944, vocab_size=152064, max_position_embeddings=131072, tie_word_embeddings=False,
    )  # fmt: skip


def paper_model(config: Any) -> Model:
    """Its shapes on torch's meta device."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return Model(NAME, AutoModelForCausalLM.from_config(config), tokenizer=None)


@torch.no_grad()
def on_paper(model: Model, pairs: int) -> Paper:
    """What a capture keeps, made by the same forward; metrics are 0, because nothing reads them."""
    prompts = Prompts("ioi", Metric.LOGIT_DIFF, tuple(_pair(i) for i in range(pairs)))
    (batch,) = prompts.batches()
    clean = run(model.parts, batch.clean.to(model.device))
    item = BatchActivations(
        batch=batch,
        readout=Readout.of(batch.pairs, prompts.metric, model.vocab_size, model.device),
        clean_z=clean.z,
        corrupted_z=torch.empty_like(clean.z),
        clean_metric=torch.zeros(pairs),
        corrupted_metric=torch.zeros(pairs),
        run=clean,
    )
    return Paper(model, prompts, Activations(prompts, (item,)))


def _pair(number: int) -> PromptPair:
    """One of equal length; from ``FIRST_DIFFERENCE`` on, any position may differ."""
    clean = (0,) * TOKENS
    corrupted = (0,) * FIRST_DIFFERENCE + (1,) * (TOKENS - FIRST_DIFFERENCE)
    return PromptPair("", "", clean, corrupted, (2 * number % NAMES,), ((2 * number + 1) % NAMES,), 0)
