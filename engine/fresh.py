"""Prompts that a circuit was not found on, run through the model."""

from __future__ import annotations

from engine.activations import Activations, capture
from engine.cost import Ledger, pass_flops
from engine.prepare import Prepared, task_prompts


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
