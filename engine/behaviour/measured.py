"""How every head behaves on the clean prompts: where it looks, and what it writes for the answer.

One pass over the prompts:

1. Attention, as the mean over all query positions at which the prompt offers the target, of the probability that
   goes there. Targets (``Target``): the token before; earlier copies of the token itself; the tokens right after
   those copies; and, from the end position, the answer in the prompt, or the last copy of a repeated distractor.
2. Writing: the logits of answer minus distractor that the head adds directly at the end position (through the
   norms, whose scales are held fixed), as a share of what the whole stream adds. MLPs are not on this path.

What the prompts cannot show is NaN with n = 0: no token is repeated, or the answer is not in the prompt.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.activations import BatchActivations
from engine.behaviour.roles import Behaviour, Target
from engine.errors import HeadlightError
from engine.hooked import all_attention
from engine.models.model import Model
from engine.models.parts import Parts
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.tasks.prompts import PromptBatch

STAGE = "roles"


@torch.no_grad()
def measure_behaviour(prepared: Prepared, watcher: Watcher) -> Behaviour:
    """Every head of the model. Raises HeadlightError where the attention cannot be read."""
    model, batches = prepared.model, prepared.activations.batches
    shape = model.n_layers, model.n_heads
    looked = {target: torch.zeros(shape) for target in Target}
    counted = dict.fromkeys(Target, 0)
    for number, item in enumerate(batches):
        masks = targets(item.batch)
        for target, mask in masks.items():
            counted[target] += int(mask.any(dim=-1).sum())
        for layer, pattern in enumerate(_patterns(model, item)):
            watcher.step(STAGE, number * model.n_layers + layer, len(batches) * model.n_layers)
            for target, mask in masks.items():
                looked[target][layer] += looked_at(pattern, mask)
    attention = {target: looked[target] / (counted[target] or float("nan")) for target in Target}
    return Behaviour(attention, counted, _writes(model, batches) if model.fast else None, len(prepared.prompts))


def looked_at(pattern: Tensor, mask: Tensor) -> Tensor:
    """Probability on the marked keys, summed over prompts and queries: ``[head]``.

    ``pattern [batch head query key]``, ``mask [batch query key]``.
    """
    return torch.einsum("bhqk,bqk->h", pattern.float().cpu(), mask.float())


def targets(batch: PromptBatch) -> dict[Target, Tensor]:
    """For each target the keys it stands at, seen from each query: bool ``[batch query key]``."""
    tokens = batch.clean
    length = tokens.shape[1]
    past = torch.ones(length, length, dtype=torch.bool).tril(-1)
    copy = (tokens[:, :, None] == tokens[:, None, :]) & past
    after = torch.zeros_like(copy)
    after[:, :, 1:] = copy[:, :, :-1]
    before = torch.diag(torch.ones(length - 1, dtype=torch.bool), -1).expand_as(copy)
    answer, distractor = torch.zeros_like(copy), torch.zeros_like(copy)
    for row, pair in enumerate(batch.pairs):
        earlier = pair.clean_tokens[:-1]
        for position in _places(earlier, pair.answer_tokens):
            answer[row, -1, position] = True
        repeated = [places for token in pair.distractor_tokens if len(places := _places(earlier, (token,))) > 1]
        for places in repeated:
            distractor[row, -1, places[-1]] = True
    return {
        Target.BEFORE: before,
        Target.COPY: copy,
        Target.AFTER_COPY: after & past,
        Target.ANSWER: answer,
        Target.DISTRACTOR: distractor,
    }


def _places(tokens: tuple[int, ...], wanted: tuple[int, ...]) -> list[int]:
    return [position for position, token in enumerate(tokens) if token in wanted]


def _patterns(model: Model, item: BatchActivations) -> Iterator[Tensor]:
    """Each layer's attention over the clean prompts, ``[batch head query key]``."""
    if not model.fast:
        yield from _hooked_patterns(model, item)
        return
    for layer, q, k in zip(model.parts.layers, item.clean.q, item.clean.k, strict=True):
        yield layer.pattern(q, k).flatten(1, 2)


def _hooked_patterns(model: Model, item: BatchActivations) -> list[Tensor]:
    tokens = item.batch.clean.to(model.device)
    patterns = all_attention(model, tokens)
    pairs, length = tokens.shape
    if patterns is None or any(each.shape != (pairs, model.n_heads, length, length) for each in patterns):
        raise HeadlightError(f"The attention of {model.name} cannot be read: TransformerLens has no hook on it.")
    return patterns


def _writes(model: Model, batches: tuple[BatchActivations, ...]) -> Tensor:
    """Answer minus distractor that each head adds directly, divided by what the whole stream adds."""
    parts = model.parts
    written, whole = torch.zeros(model.n_layers, model.n_heads), 0.0
    for item in batches:
        end = item.clean.resid_final[:, -1]
        direction = _answer_direction(parts, item.batch).to(end.device)
        whole += float((parts.final_norm.as_scaled(end, end) * direction).sum())
        for number, layer in enumerate(parts.layers):
            for index in range(model.n_heads):
                out = layer.heads_output(item.clean.z[number, :, -1, index : index + 1], index)
                added = layer.reaching_stream(out, item.clean.attn_out[number, :, -1])
                written[number, index] += float((parts.final_norm.as_scaled(added, end) * direction).sum())
    return written / whole if whole else torch.full_like(written, float("nan"))


def _answer_direction(parts: Parts, batch: PromptBatch) -> Tensor:
    """Unembedding of the answers minus that of the distractors, each a mean: ``[batch d_model]``."""
    weight = parts.unembedding.weight

    def mean_of(tokens: tuple[int, ...]) -> Tensor:
        return weight[list(tokens)].float().mean(dim=0)

    return torch.stack([mean_of(pair.answer_tokens) - mean_of(pair.distractor_tokens) for pair in batch.pairs])
