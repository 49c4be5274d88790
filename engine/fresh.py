"""Prompts that a circuit was not found on, run through the model."""

from __future__ import annotations

from collections.abc import Iterable

from engine.ablation import Ablator
from engine.activations import Activations, capture
from engine.cost.ledger import Ledger, pass_flops
from engine.heads import Head, mask_of
from engine.nodes import Mlp, node_mask
from engine.prepare import Prepared, task_prompts
from engine.verification import Verification, verify


def fresh_activations(prepared: Prepared, seed: int, ledger: Ledger) -> tuple[Activations, int]:
    """The task's prompts of another ``seed`` and that seed; a custom task has no others, so its own and their seed.

    The forwards are booked under the open stage of ``ledger``.
    """
    if prepared.custom or seed == prepared.settings.seed:
        return prepared.activations, prepared.settings.seed
    prompts = task_prompts(prepared.model, prepared.settings, seed)
    activations = capture(prepared.model, prompts, prepared.memory.rows, prepared.mlp_scores is not None)
    ledger.add(2 * pass_flops(prepared.model, prompts))
    return activations, seed


def verify_on_fresh(
    prepared: Prepared, heads: Iterable[Head], seed: int, ledger: Ledger, mlps: Iterable[Mlp] | None = None
) -> Verification:
    """The heads alone, on prompts of another ``seed``; a custom task has no others, so on its own.

    ``mlps``: those that stay live, of a run in which they are nodes; all of them if None.
    """
    model = prepared.model
    activations, seed = fresh_activations(prepared, seed, ledger)
    if mlps is not None:
        keep = node_mask((*heads, *mlps), model.n_layers, model.n_heads)
    else:
        keep = mask_of(heads, model.n_layers, model.n_heads)
    return verify(activations, Ablator(model, activations, ledger), keep, seed)
