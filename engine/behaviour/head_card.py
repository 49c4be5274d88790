"""What one head looks at and what it writes: the closer look at a head of a prepared run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.activations import run
from engine.errors import HeadlightError
from engine.heads import Head
from engine.hooked import attention_probabilities
from engine.models.model import Model
from engine.prepare import Prepared


@torch.no_grad()
def attention_pattern(model: Model, tokens: tuple[int, ...], head: Head) -> Tensor:
    """Attention probabilities ``[query key]`` of one head over one prompt.

    Raises HeadlightError for a model that has only hooks, and none on its attention.
    """
    prompt = torch.tensor([tokens], device=model.device)
    if not model.fast:
        return _hooked_pattern(model, prompt, head)
    forward = run(model.parts, prompt)
    layer = model.parts.layers[head.layer]
    kv = head.index // model.group
    q = forward.q[head.layer][..., head.index : head.index + 1, :]
    k = forward.k[head.layer][..., kv : kv + 1, :]
    return layer.pattern(q, k)[0, 0, 0].cpu()


def _hooked_pattern(model: Model, prompt: Tensor, head: Head) -> Tensor:
    probabilities = attention_probabilities(model, prompt, head.layer)
    length = prompt.shape[1]
    if probabilities is None or probabilities.shape != (1, model.n_heads, length, length):
        raise HeadlightError(f"The attention of {model.name} cannot be shown: TransformerLens has no hook on it.")
    return probabilities[0, head.index].cpu()


@dataclass(frozen=True)
class WrittenToken:
    """A vocabulary token and the logits a head adds to it directly."""

    token: int
    text: str
    logits: float


@torch.no_grad()
def head_writes(prepared: Prepared, head: Head, count: int = 10) -> tuple[list[WrittenToken], list[WrittenToken]]:
    """The tokens a head raises most and lowers most at the end position, averaged over clean prompts.

    Direct effect through the unembedding only: W_O z under each prompt's own norms (after attention, where
    the model has one, and the final one), whose scales are held fixed. Logits are those before a soft cap.
    Later layers may read the same output differently. Raises HeadlightError for a model whose parts are not
    known.
    """
    model = prepared.model
    layer = model.parts.layers[head.layer]
    total = torch.zeros(model.vocab_size, device=model.device)
    for item in prepared.activations.batches:
        z = item.clean.z[head.layer, :, -1, head.index : head.index + 1]  # [batch 1 d_head]
        written = layer.heads_output(z, head.index)
        added = layer.reaching_stream(written, item.clean.attn_out[head.layer, :, -1])
        normed = model.parts.final_norm.as_scaled(added, item.clean.resid_final[:, -1])
        total += model.parts.project(normed).sum(dim=0)
    mean = (total / len(prepared.prompts)).cpu()
    return _tokens(model, mean.topk(count)), _tokens(model, mean.topk(count, largest=False))


def _tokens(model: Model, top: torch.return_types.topk) -> list[WrittenToken]:
    return [
        WrittenToken(token, model.tokenizer.decode([token]), value)
        for value, token in zip(top.values.tolist(), top.indices.tolist(), strict=True)
    ]
