"""The model with every head outside a mask ablated (METHOD sections 2.4 and 2.9).

Kept heads run live on the clean prompt, MLPs are live, every other head's z is replaced:

* mean      by its mean over the corrupted prompts of the same template group, position by position
* resample  by its value on the pair's own corrupted prompt
* zero      by zero

A mask with the MLPs' column (engine/nodes.py) ablates the MLPs it does not keep too, what they add to the stream
being replaced in the same way. That is another, harder test than ablating heads alone.

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
from engine.cost.ledger import Ledger, hooked_flops, mlp_flops, output_flops, unembed_flops, z_flops
from engine.hooked import ablated_logits
from engine.machine.chunks import halved
from engine.models.model import Model
from engine.models.parts import Parts
from engine.nodes import has_mlps, with_mlps
from engine.tasks.prompts import PromptPair


class Ablation(StrEnum):
    """What stands in for the z of a removed head, or for the output of a removed MLP."""

    MEAN = "mean"
    RESAMPLE = "resample"
    ZERO = "zero"


# (some pairs, their end logits ``[some vocab]`` under each mask) -> ``[some value]``
EndReader = Callable[[Sequence[PromptPair], Sequence[Tensor]], Tensor]


class Ablator:
    """Evaluates keep masks on one prompt set; masks in a nested order share most of the work."""

    def __init__(self, model: Model, activations: Activations, ledger: Ledger, kind: Ablation = Ablation.MEAN) -> None:
        self.kind, self._activations, self._n_heads = kind, activations, model.n_heads
        pairs = zip(activations.batches, _all_stand_ins(activations.batches, kind), strict=True)
        self._runs = [_run_of(model, item, stand_in, ledger) for item, stand_in in pairs]
        self._mlps_known = all(item.mlps is not None for item in activations.batches)

    @torch.no_grad()
    def by_pair(self, keep: Tensor) -> Tensor:
        """Metric of each pair, ``[pair]``, with only the heads of ``keep [layer head]`` live.

        ``keep`` may have the MLPs' column, if ``activations`` were captured with ``mlps=True``.
        """
        keep = self._checked(keep)
        values = torch.empty(len(self._activations.prompts), dtype=torch.float64)
        for item, run in zip(self._activations.batches, self._runs, strict=True):
            values[list(item.batch.indices)] = run.metric(keep).double().cpu()
        return values

    def split(self, keep: Tensor) -> tuple[Tensor, Tensor | None]:
        """The heads ``[layer head]`` of a mask, and its MLPs ``[layer]``, None if it has no column for them."""
        heads = keep[:, : self._n_heads]
        return heads, keep[:, -1] if has_mlps(keep, self._n_heads) else None

    def metric(self, keep: Tensor) -> float:
        """Mean of ``by_pair``."""
        return float(self.by_pair(keep).mean())

    @torch.no_grad()
    def at_end(self, keeps: Sequence[Tensor], read: EndReader) -> Tensor:
        """What ``read`` makes of all logits at the end position under each of ``keeps [layer head]``: ``[pair value]``.

        A few pairs at a time: all logits of a few hundred would be the largest tensor of the run.
        """
        order, values = [], []
        keeps = [self._checked(keep) for keep in keeps]
        for item, run in zip(self._activations.batches, self._runs, strict=True):
            ends = [run.end(keep) for keep in keeps]
            for first in range(0, len(item.batch.pairs), UNEMBEDDED_TOGETHER):
                some = slice(first, first + UNEMBEDDED_TOGETHER)
                logits = [run.logits(end[some]).float() for end in ends]
                values.append(read(item.batch.pairs[some], logits).double().cpu())
            order += item.batch.indices
        return torch.cat(values)[torch.tensor(order).argsort()]

    def _checked(self, keep: Tensor) -> Tensor:
        """The mask with the MLPs' column."""
        keep = with_live_mlps(keep, self._n_heads)
        if not (self._mlps_known or keep[:, -1].all()):
            raise ValueError("To ablate MLPs, capture activations with mlps=True")
        return keep


@dataclass(frozen=True, eq=False)
class _StandIn:
    """What replaces z, and what an MLP adds to the stream, in one batch; the latter where it was captured."""

    z: Tensor  # [layer batch pos head d_head]
    mlp: Tensor | None  # [layer batch pos d_model]


def _all_stand_ins(items: Sequence[BatchActivations], kind: Ablation) -> list[_StandIn]:
    z = stand_ins(items, kind)
    written = [item.mlps.corrupted for item in items if item.mlps is not None]
    if len(written) < len(items):
        return [_StandIn(each, None) for each in z]
    mlps = _replacements(items, written, kind)
    return [_StandIn(of_heads, of_mlps) for of_heads, of_mlps in zip(z, mlps, strict=True)]


def stand_ins(items: Sequence[BatchActivations], kind: Ablation) -> list[Tensor]:
    """What replaces z in each batch: ``[layer batch pos head d_head]``."""
    return _replacements(items, [item.corrupted_z for item in items], kind)


def _replacements(items: Sequence[BatchActivations], corrupted: Sequence[Tensor], kind: Ablation) -> list[Tensor]:
    """What replaces values whose ``corrupted [layer batch ...]`` ones these are, in each batch."""
    if kind is Ablation.ZERO:
        return [torch.zeros_like(each) for each in corrupted]
    if kind is Ablation.RESAMPLE:
        return list(corrupted)
    means = _group_means(items, corrupted)
    return [torch.stack([means[key] for key in _groups(item)], dim=1) for item in items]


def _group_means(items: Sequence[BatchActivations], corrupted: Sequence[Tensor]) -> dict[tuple[int, int], Tensor]:
    """Mean ``[layer pos ...]`` of each length and template group, whichever batches it fills."""
    members: dict[tuple[int, int], list[Tensor]] = {}
    for item, values in zip(items, corrupted, strict=True):
        for row, key in enumerate(_groups(item)):
            members.setdefault(key, []).append(values[:, row])
    return {key: torch.stack(rows).mean(dim=0) for key, rows in members.items()}


def _groups(item: BatchActivations) -> list[tuple[int, int]]:
    """Length and template group of each pair."""
    return [(item.batch.clean.shape[1], pair.template_group) for pair in item.batch.pairs]


def masked_flops(model: Model, activations: Activations, keep: Tensor, last: Tensor | None) -> float:
    """What evaluating ``keep [layer head]`` after the mask ``last`` will take; see ``_AblatedRun.metric``."""
    if not model.fast:
        return hooked_flops(model, activations.prompts)
    keep, last = with_live_mlps(keep, model.n_heads), None if last is None else with_live_mlps(last, model.n_heads)
    start, top, total = _resume_at(keep, last), _top(keep), 0.0
    for item in activations.batches:
        pairs, length = item.batch.clean.shape
        for index in range(start, model.n_layers):
            layer = model.parts.layers[index]
            rows = pairs * (length if index < top else 1)
            total += output_flops(layer, rows, model.n_heads) + (mlp_flops(layer, rows) if keep[index, -1] else 0.0)
            if keep[index, :-1].any():
                total += z_flops(layer, pairs * length, pairs * length, length)
        tokens = model.vocab_size if item.readout.tokens is None else len(item.readout.tokens)
        total += unembed_flops(model.parts, pairs, tokens)
    return total


def with_live_mlps(keep: Tensor, n_heads: int) -> Tensor:
    """The mask with the MLPs' column; all of them kept if it has none."""
    return keep if has_mlps(keep, n_heads) else with_mlps(keep, keep.new_ones(len(keep)))


def _top(keep: Tensor) -> int:
    """The highest layer with a kept head in a mask ``[layer column]``, -1 if there is none."""
    layers = keep[:, :-1].any(dim=1).nonzero()
    return int(layers[-1]) if len(layers) else -1


def _resume_at(keep: Tensor, last: Tensor | None) -> int:
    """First layer whose stream must be recomputed after mask ``last``; streams above its top are cut short."""
    if last is None:
        return 0
    differing = (keep != last).any(dim=1).nonzero()
    first = int(differing[0]) if len(differing) else len(keep) - 1
    return min(first, max(_top(last), 0))


class _Run(Protocol):
    """One batch under any mask ``[layer column]``: its metric ``[batch]``, or what its logits are read from, then
    ``[batch vocab]``."""

    def metric(self, keep: Tensor) -> Tensor: ...

    def end(self, keep: Tensor) -> Tensor: ...

    def logits(self, end: Tensor) -> Tensor: ...


def _run_of(model: Model, item: BatchActivations, stand_in: _StandIn, ledger: Ledger) -> _Run:
    if model.fast:
        return _AblatedRun(model.parts, item, stand_in, ledger)
    return _HookedRun(model, item, stand_in.z, ledger)


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

        def of_some(some: slice) -> Tensor:
            return ablated_logits(self.model, tokens[some], keep[:, :-1], self.stand_in[:, some])

        return halved(of_some, pairs)

    def logits(self, end: Tensor) -> Tensor:
        return end


@dataclass(eq=False)
class _AblatedRun:
    """One batch, with the streams of the last mask it ran."""

    parts: Parts
    item: BatchActivations
    stand_in: _StandIn
    ledger: Ledger
    _last: Tensor | None = None
    _streams: list[Tensor] = field(default_factory=list)  # into each layer; end position only above _top
    _top: int = -1

    def metric(self, keep: Tensor) -> Tensor:
        """``[batch]``"""
        end, tokens = self.end(keep), self.item.readout.tokens
        count = self.parts.unembedding.weight.shape[0] if tokens is None else len(tokens)
        self.ledger.add(unembed_flops(self.parts, len(end), count))
        readout = self.item.readout
        return halved(lambda some: read_metric(self.parts, readout.of_pairs(some), end[some]), len(end))

    def logits(self, end: Tensor) -> Tensor:
        self.ledger.add(unembed_flops(self.parts, len(end), self.parts.unembedding.weight.shape[0]))
        return halved(lambda some: self.parts.unembed(end[some]), len(end))

    def end(self, keep: Tensor) -> Tensor:
        """The last stream at the end position, ``[batch d_model]``."""
        start = _resume_at(keep, self._last)
        resid = self._streams[start] if start else self.item.clean.resid_pre[0]
        del self._streams[start:]
        self._top = _top(keep)
        for index in range(start, len(self.parts.layers)):
            self._streams.append(resid)
            resid = self._out_of(index, resid, keep[index])
        self._last = keep.clone()
        return resid[:, -1]

    def _out_of(self, index: int, resid: Tensor, keep: Tensor) -> Tensor:
        """``resid [batch pos d_model]`` through one layer, all pairs."""
        return halved(lambda some: self._through(index, resid[some], keep, some), len(resid), self.ledger)

    def _through(self, index: int, resid: Tensor, keep: Tensor, pairs: slice) -> Tensor:
        """``resid`` of ``pairs`` through one layer; all positions only while a later head is live."""
        layer, heads, mlp = self.parts.layers[index], keep[:-1], bool(keep[-1])
        length = self.item.batch.clean.shape[1]
        z = self.stand_in.z[index][pairs]
        wanted = slice(None) if index < self._top else slice(length - 1, length)
        if heads.any():
            z = torch.where(heads.to(z.device)[:, None], self._live_z(index, resid), z)
        if resid.shape[1] == length:
            resid = resid[:, wanted]
        rows = resid[..., 0].numel()
        self.ledger.add(output_flops(layer, rows, len(heads)) + (mlp_flops(layer, rows) if mlp else 0.0))
        attn_out = layer.attention_output(z[:, wanted])
        if mlp:
            return layer.output(resid, attn_out)
        assert self.stand_in.mlp is not None
        return resid + layer.attention_written(attn_out) + self.stand_in.mlp[index][pairs][:, wanted]

    def _live_z(self, index: int, resid: Tensor) -> Tensor:
        layer = self.parts.layers[index]
        normed = layer.norm_attn(resid)
        self.ledger.add(z_flops(layer, resid[..., 0].numel(), resid[..., 0].numel(), resid.shape[1]))
        return layer.attend(layer.queries(normed, 0), layer.keys(normed, 0), layer.values(normed))
