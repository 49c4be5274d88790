"""Whole forwards through hooks: how a model whose parts are not known is captured and ablated.

1. Recording: a plain run that keeps every layer's z, and the logits of the end position.
2. Ablation: a run in which z of each layer is replaced where the mask does not keep it.
3. Gradients: a run that autograd follows from each layer's z to the metric, and the way back.

Nothing is shared or skipped; every call is one forward of the bridge, hooks added and removed under the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.models.bridge import EMBEDDING, hook_name
from engine.models.hooks import Hook, recorder, replacing
from engine.models.model import Model


def end_logits(model: Model, tokens: Tensor, hooks: Sequence[Hook] = ()) -> Tensor:
    """Logits ``[batch vocab]`` after ``tokens [batch pos]`` with ``hooks`` in place, where ``tokens`` lie."""
    with model.hooking() as bridge:
        return bridge.run_with_hooks(tokens, fwd_hooks=list(hooks))[:, -1].to(tokens.device)


def recorded_z(model: Model, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """z ``[layer batch pos head d_head]`` of a plain run of ``tokens [batch pos]``, and its end logits."""
    recorded: dict[str, Tensor] = {}
    names = [hook_name(layer, "z") for layer in range(model.n_layers)]
    logits = end_logits(model, tokens, [recorder(recorded, name) for name in names])
    return torch.stack([recorded[name].to(model.device) for name in names]), logits


def ablated_logits(model: Model, tokens: Tensor, keep: Tensor, stand_in: Tensor) -> Tensor:
    """End logits ``[batch vocab]`` with z of the heads outside ``keep [layer head]`` taken from ``stand_in``.

    ``stand_in [layer batch pos head d_head]``.
    """
    hooks = [
        (hook_name(layer, "z"), keeping(keep[layer].to(model.device)[:, None], stand_in[layer]))
        for layer in range(model.n_layers)
    ]
    return end_logits(model, tokens, hooks)


def keeping(keep: Tensor, stand_in: Tensor) -> Callable[..., Tensor]:
    """A hook that leaves z ``[batch pos head d_head]`` where ``keep [head 1]`` and puts ``stand_in`` elsewhere."""
    return lambda value, hook: torch.where(keep.to(value.device), value, stand_in.to(value.device))


def attention_probabilities(model: Model, tokens: Tensor, layer: int) -> Tensor | None:
    """A layer's attention ``[batch head query key]``; None where the bridge has no hook on it."""
    recorded = _attention(model, tokens, [layer])
    return None if recorded is None else recorded[0]


def all_attention(model: Model, tokens: Tensor) -> list[Tensor] | None:
    """The same for every layer, of one forward."""
    return _attention(model, tokens, range(model.n_layers))


def _attention(model: Model, tokens: Tensor, layers: Iterable[int]) -> list[Tensor] | None:
    recorded: dict[str, Tensor] = {}
    names = [hook_name(layer, "pattern") for layer in layers]
    with model.hooking() as bridge:
        try:
            bridge.run_with_hooks(tokens, fwd_hooks=[recorder(recorded, name) for name in names])
        except KeyError:  # no hook of that name
            return None
    return [recorded[name] for name in names] if recorded.keys() >= set(names) else None


def hooked_gradients(
    model: Model, tokens: Tensor, metric: Callable[[Tensor], Tensor], embeddings: Tensor | None = None
) -> Tensor:
    """d metric / d z of each prompt, ``[layer batch pos head d_head]``.

    ``metric`` reads ``[batch]`` from end logits; ``embeddings [batch pos d_model]`` stand in for those of ``tokens``.
    """
    zs: dict[int, Tensor] = {}

    def watched(layer: int) -> Hook:
        def hook(value: Tensor, hook: object) -> Tensor:
            zs[layer] = value if value.requires_grad else value.requires_grad_()
            return zs[layer]

        return hook_name(layer, "z"), hook

    hooks = [watched(layer) for layer in range(model.n_layers)]
    if embeddings is not None:
        hooks.append(replacing(EMBEDDING, embeddings))
    with torch.enable_grad():
        total = metric(end_logits(model, tokens, hooks)).sum()
        found = torch.autograd.grad(total, [zs[layer] for layer in range(model.n_layers)])
    return torch.stack([gradient.to(model.device) for gradient in found])


@torch.no_grad()
def recorded_embeddings(model: Model, tokens: Tensor) -> Tensor:
    """What the token embedding gives for ``tokens [batch pos]``: ``[batch pos d_model]``.

    Raises HeadlightError for a model without a hook there.
    """
    recorded: dict[str, Tensor] = {}
    with model.hooking() as bridge:
        if EMBEDDING in bridge.hook_dict:
            end_logits(model, tokens, [recorder(recorded, EMBEDDING)])
    if EMBEDDING not in recorded:
        raise HeadlightError(
            f"The embeddings of {model.name} cannot be replaced: TransformerLens has no hook behind them. Choose a "
            "head score that needs none, such as attribution by position."
        )
    return recorded[EMBEDDING]
