"""The model with every head outside a mask ablated (METHOD sections 2.4 and 2.9).

Kept heads run live on the clean prompt, MLPs are always live, every other head's z is replaced:

* mean      by its mean over the corrupted prompts of the same template group, position by position
* resample  by its value on the pair's own corrupted prompt
* zero      by zero

Nothing is computed twice: a mask that agrees with the one before it up to some layer resumes there,
and above the highest kept head only the end position is carried, since nothing reads the others.
A model whose parts are not known runs one whole hooked forward a mask instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import torch
from torch import Tensor

from engine.activations import UNEMBEDDED_TOGETHER, Activations, BatchActivations, read_metric
from engine.cost import Ledger, hooked_flops, mlp_flops, output_flops, unembed_flops, z_flops
from engine.hooked import ablated_logits
from engine.models.model import Model
from engine.models.parts import Parts
from engine.tasks.prompts import PromptPair


class Ablation(StrEnum):
    """What stands in for the z of a removed head."""

    MEAN = "mean"
    RESAMPLE = "resample"
    ZERO = "zero"


# (some pairs, their end logits ``[some vocab]`` under each mask) -> ``[some value]``
EndReader = Callable[[Sequence[PromptPair], Sequence[Tensor]], Tensor]


class Ablator:
    """Evaluates keep masks on one prompt set; masks in a nested order share most of the work."""

    def __init__(self, model: Model, activations: Activations, ledger: Ledger, kind: Ablation = Ablation.MEAN) -> None:
        self.kind, self._activations = kind, activations
        pairs = zip(activations.batches, stand_ins(activations.batches, kind), strict=True)
        self._runs = [_run_of(model, item, stand_in, ledger) for item, stand_in in pairs]

    @torch.no_grad()
    def by_pair(self, keep: Tensor) -> Tensor:
        """Metric of each pair, ``[pair]``, with only the heads of ``keep [layer head]`` live."""
        values = torch.empty(len(self._activations.prompts), dtype=torch.float64)
        for item, run in zip(self._activations.batches, self._runs, strict=True):
            values[list(item.batch.indices)] = run.metric(keep).double().cpu()
        return values

    def metric(self, keep: Tensor) -> float:
        """Mean of ``by_pair``."""
        return float(self.by_pair(keep).mean())

    @torch.no_grad()
    def at_end(self, keeps: Sequence[Tensor], read: EndReader) -> Tensor:
        """What ``read`` makes of all logits at the end position under each of ``keeps [layer head]``: ``[pair value]``.

        A few pairs at a time: all logits of a few hundred would be the largest tensor of the run.
        """
        order, values = [], []
        for item, run in zip(self._activations.batches, self._runs, strict=True):
            ends = [run.end(keep) for keep in keeps]
            for first in range(0, len(item.batch.pairs), UNEMBEDDED_TOGETHER):
                some = slice(first, first + UNEMBEDDED_TOGETHER)
                logits = [run.logits(end[some]).float() for end in ends]
                values.append(read(item.batch.pairs[some], logits).double().cpu())
            order += item.batch.indices
        return torch.cat(values)[torch.tensor(order).argsort()]


def stand_ins(items: Sequence[BatchActivations], kind: Ablation) -> list[Tensor]:
    """What replaces z in each batch: ``[layer batch pos head d_head]``."""
    if kind is Ablation.ZERO:
        return [torch.zeros_like(item.corrupted_z) for item in items]
    if kind is Ablation.RESAMPLE:
        return [item.corrupted_z for item in items]
    means = _group_means(items)
    return [torch.stack([means[key] for key in _groups(item)], dim=1) for item in items]


def _group_means(items: Sequence[BatchActivations]) -> dict[tuple[int, int], Tensor]:
    """Mean corrupted z ``[layer pos head d_head]`` of each length and template group, whichever batches it fills."""
    members: dict[tuple[int, int], list[Tensor]] = {}
    for item in items:
        for row, key in enumerate(_groups(item)):
            members.setdefault(key, []).append(item.corrupted_z[:, row])
    return {key: torch.stack(rows).mean(dim=0) for key, rows in members.items()}


def _groups(item: BatchActivations) -> list[tuple[int, int]]:
    """Length and template group of each pair."""
    return [(item.batch.clean.shape[1], pair.template_group) for pair in item.batch.pairs]


def masked_flops(model: Model, activations: Activations, keep: Tensor, last: Tensor | None) -> float:
    """What evaluating ``keep [layer head]`` after the mask ``last`` will take; see ``_AblatedRun.metric``."""
    if not model.fast:
        return hooked_flops(model, activations.prompts)
    start, top, total = _resume_at(keep, last), _top(keep), 0.0
    for item in activations.batches:
        pairs, length = item.batch.clean.shape
        for index in range(start, model.n_layers):
            layer = model.parts.layers[index]
            rows = pairs * (length if index < top else 1)
            total += output_flops(layer, rows, model.n_heads) + mlp_flops(layer, rows)
            if keep[index].any():
                total += z_flops(layer, pairs * length, pairs * length, length)
        tokens = model.vocab_size if item.readout.tokens is None else len(item.readout.tokens)
        total += unembed_flops(model.parts, pairs, tokens)
    return total


def _top(keep: Tensor) -> int:
    """The highest layer with a kept head, -1 if there is none."""
    layers = keep.any(dim=1).nonzero()
    return int(layers[-1]) if len(layers) else -1


def _resume_at(keep: Tensor, last: Tensor | None) -> int:
    """First layer whose stream must be recomputed after mask ``last``; streams above its top are cut short."""
    if last is None:
        return 0
    differing = (keep != last).any(dim=1).nonzero()
    first = int(differing[0]) if len(differing) else len(keep) - 1
    return min(first, max(_top(last), 0))


class _Run(Protocol):
    """One batch under any mask: its metric ``[batch]``, or what its logits are read from, then ``[batch vocab]``."""

    def metric(self, keep: Tensor) -> Tensor: ...

    def end(self, keep: Tensor) -> Tensor: ...

    def logits(self, end: Tensor) -> Tensor: ...


def _run_of(model: Model, item: BatchActivations, stand_in: Tensor, ledger: Ledger) -> _Run:
    if model.fast:
        return _AblatedRun(model.parts, item, stand_in, ledger)
    return _HookedRun(model, item, stand_in, ledger)


@dataclass(frozen=True, eq=False)
class _HookedRun:
    model: Model
    item: BatchActivations
    stand_in: Tensor
    ledger: Ledger

    def metric(self, keep: Tensor) -> Tensor:
        """``[batch]``"""
        return self.item.readout.of_vocabulary(self.end(keep))

    def end(self, keep: Tensor) -> Tensor:
        """``[batch vocab]``: a hooked forward computes all logits anyway."""
        pairs, length = self.item.batch.clean.shape
        self.ledger.add(pairs * self.model.counted_flops(length))
        tokens = self.item.batch.clean.to(self.model.device)
        return ablated_logits(self.model, tokens, keep, self.stand_in)

    def logits(self, end: Tensor) -> Tensor:
        return end


@dataclass(eq=False)
class _AblatedRun:
    """One batch, with the streams of the last mask it ran."""

    parts: Parts
    item: BatchActivations
    stand_in: Tensor
    ledger: Ledger
    _last: Tensor | None = None
    _streams: list[Tensor] = field(default_factory=list)  # into each layer; end position only above _top
    _top: int = -1

    def metric(self, keep: Tensor) -> Tensor:
        """``[batch]``"""
        end, tokens = self.end(keep), self.item.readout.tokens
        count = self.parts.unembedding.weight.shape[0] if tokens is None else len(tokens)
        self.ledger.add(unembed_flops(self.parts, len(end), count))
        return read_metric(self.parts, self.item.readout, end)

    def logits(self, end: Tensor) -> Tensor:
        self.ledger.add(unembed_flops(self.parts, len(end), self.parts.unembedding.weight.shape[0]))
        return self.parts.unembed(end)

    def end(self, keep: Tensor) -> Tensor:
        """The last stream at the end position, ``[batch d_model]``."""
        start = _resume_at(keep, self._last)
        resid = self._streams[start] if start else self.item.clean.resid_pre[0]
        del self._streams[start:]
        self._top = _top(keep)
        for index in range(start, len(self.parts.layers)):
            self._streams.append(resid)
            resid = self._through(index, resid, keep[index])
        self._last = keep.clone()
        return resid[:, -1]

    def _through(self, index: int, resid: Tensor, keep: Tensor) -> Tensor:
        """``resid [batch pos d_model]`` through one layer; all positions only while a later head is live."""
        layer = self.parts.layers[index]
        length = self.item.batch.clean.shape[1]
        z = self.stand_in[index]
        wanted = slice(None) if index < self._top else slice(length - 1, length)
        if keep.any():
            z = torch.where(keep.to(z.device)[:, None], self._live_z(index, resid), z)
        if resid.shape[1] == length:
            resid = resid[:, wanted]
        rows = resid[..., 0].numel()
        self.ledger.add(output_flops(layer, rows, len(keep)) + mlp_flops(layer, rows))
        return layer.output(resid, layer.attention_output(z[:, wanted]))

    def _live_z(self, index: int, resid: Tensor) -> Tensor:
        layer = self.parts.layers[index]
        normed = layer.norm_attn(resid)
        self.ledger.add(z_flops(layer, resid[..., 0].numel(), resid[..., 0].numel(), resid.shape[1]))
        return layer.attend(layer.queries(normed, 0), layer.keys(normed, 0), layer.values(normed))
