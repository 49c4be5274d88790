"""Activations of some of the pairs that have run already: a resample costs no forward pass.

1. Pairs are named by their place, as often as they are wanted, and keep the order they are named in.
2. They are batched anew by token length, as ``capture`` batches them, and their rows copied.

The numbers are those ``capture`` would give but for rounding: how rows share a matmul may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from engine.activations import Activations, BatchActivations, Run
from engine.errors import HeadlightError
from engine.metrics import Readout
from engine.models.model import Model
from engine.tasks.prompts import PromptBatch, Prompts

Source = tuple[BatchActivations, int]  # a batch that has run, and a pair's row in it


def subset(model: Model, activations: Activations, places: Sequence[int], max_rows: int | None = None) -> Activations:
    """The pairs at ``places`` of the prompts; ``max_rows`` (pair x position) in one batch, see ``capture``.

    Raises HeadlightError if no pair is named, or one there is not.
    """
    prompts = subset_prompts(activations.prompts, places)
    known = {place: (item, row) for item in activations.batches for row, place in enumerate(item.batch.indices)}
    batches = [
        _batch(model, prompts, batch, [known[places[index]] for index in batch.indices])
        for batch in prompts.batches(max_rows)
    ]
    return Activations(prompts, tuple(batches))


def subset_prompts(prompts: Prompts, places: Sequence[int]) -> Prompts:
    """The pairs at ``places``, in that order."""
    if not places or not all(0 <= place < len(prompts) for place in places):
        raise HeadlightError(
            f"Expected places from 0 to {len(prompts) - 1}, got {list(places)}. Name at least one pair there is."
        )
    return replace(prompts, pairs=tuple(prompts.pairs[place] for place in places))


def _batch(model: Model, prompts: Prompts, batch: PromptBatch, sources: Sequence[Source]) -> BatchActivations:
    one, _ = sources[0]
    run = _run(sources) if one.run is not None else None
    clean_z = run.z if run is not None else _rows([item.clean_z[:, row] for item, row in sources], 1)
    return BatchActivations(
        batch=batch,
        readout=Readout.of(batch.pairs, prompts.metric, model.vocab_size, model.device),
        clean_z=clean_z,
        corrupted_z=_rows([item.corrupted_z[:, row] for item, row in sources], 1),
        clean_metric=_rows([item.clean_metric[row] for item, row in sources]),
        corrupted_metric=_rows([item.corrupted_metric[row] for item, row in sources]),
        run=run,
        corrupted_end=_optional([(item.corrupted_end, row) for item, row in sources]),
        probabilities=_optional([(item.probabilities, row) for item, row in sources]),
    )


def _run(sources: Sequence[Source]) -> Run:
    by_layer = {
        name: _rows([getattr(item.clean, name)[:, row] for item, row in sources], 1)
        for name in ("resid_pre", "attn_out", "q", "k", "v", "z")
    }
    return Run(resid_final=_rows([item.clean.resid_final[row] for item, row in sources]), **by_layer)


def _rows(rows: Sequence[Tensor], dim: int = 0) -> Tensor:
    return torch.stack(list(rows), dim=dim)


def _optional(sources: Sequence[tuple[Tensor | None, int]]) -> Tensor | None:
    kept = [values[row] for values, row in sources if values is not None]
    return _rows(kept) if kept else None


def clearest_places(activations: Activations, count: int) -> list[int]:
    """Places of up to ``count`` pairs with the largest clean minus corrupted: no unit of f near nothing."""
    gaps = activations.by_pair("clean_metric") - activations.by_pair("corrupted_metric")
    clearest = gaps.abs().topk(min(count, len(gaps))).indices.tolist()
    # Two large gaps of opposite sign would cancel.
    return [index for index in clearest if gaps[index] * gaps[clearest[0]] > 0] or clearest[:1]


def clearest_pairs(activations: Activations, count: int) -> Prompts:
    """The pairs at ``clearest_places``."""
    prompts = activations.prompts
    return replace(prompts, pairs=tuple(prompts.pairs[index] for index in clearest_places(activations, count)))
