"""The ledger: matmul FLOPs, forward-pass equivalents and seconds, by stage (METHOD section 2.9).

A multiply-add counts as two FLOPs; norms, softmax and embeddings are left out. One forward pass
means all N clean prompts through the whole model, with the logits the metric reads, so a stage that
recomputes a tenth of that counts as .1 passes. A hooked forward cannot choose its logits: it computes
all of them at every position. Dense and APP are measured with the same ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from engine.metrics import tokens_read
from engine.models.model import Model
from engine.models.parts import Layer, Parts
from engine.tasks.prompts import Prompts


@dataclass(frozen=True)
class CostRow:
    """What one stage cost."""

    stage: str
    seconds: float
    forward_passes: float
    flops: float


class Ledger:
    """Adds up cost by stage; not shared between threads."""

    def __init__(
        self,
        flops_per_pass: float,
        on_work: Callable[[float], None] = lambda flops: None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``flops_per_pass``: see ``forward_flops``. ``on_work`` is called with the FLOPs of every piece of work
        booked, layer by layer: a stage stops there when it raises Cancelled. ``now``: the clock, in seconds."""
        self.flops_per_pass, self._on_work, self._now = flops_per_pass, on_work, now
        self._seconds: dict[str, float] = {}
        self._flops: dict[str, float] = {}
        self._stage: str | None = None
        self._changed = now()
        self._booking = True

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what runs inside, and book its FLOPs, under ``name``.

        A stage opened inside another takes its time and work away from that one, and stands before it:
        rows never overlap.
        """
        if not self._booking:
            yield
            return
        outer, self._stage = self._stage, name
        if name not in self._flops:
            before = list(self._flops.items())
            place = len(before) if outer is None else [stage for stage, _ in before].index(outer)
            self._flops = dict([*before[:place], (name, 0.0), *before[place:]])
            self._seconds[name] = 0.0
        self._clock(outer)
        try:
            yield
        finally:
            self._clock(name)
            self._stage = outer

    def _clock(self, stage: str | None) -> None:
        """Book the seconds since the last change of stage under ``stage``."""
        now = self._now()
        if stage is not None:
            self._seconds[stage] += now - self._changed
        self._changed = now

    def add(self, flops: float) -> None:
        """Book ``flops`` under the open stage."""
        if not self._booking:
            self._on_work(0.0)
            return
        if self._stage is None:
            raise RuntimeError("No stage is open to book FLOPs under")
        self._flops[self._stage] += flops
        self._on_work(flops)

    @contextmanager
    def unbooked(self) -> Iterator[None]:
        """Neither time nor FLOPs of what runs inside are booked: they were, when it was done before."""
        self._clock(self._stage)
        before, self._booking = self._booking, False
        try:
            yield
        finally:
            self._booking, self._changed = before, self._now()

    def stand_at(self, rows: Iterable[CostRow]) -> None:
        """Book exactly ``rows``: what a part of the work took that was done before and need not be done again."""
        rows, before = list(rows), sum(self._flops.values())
        self._flops = {row.stage: row.flops for row in rows}
        self._seconds = {row.stage: row.seconds for row in rows}
        if self._stage is not None:
            self._flops.setdefault(self._stage, 0.0)
            self._seconds.setdefault(self._stage, 0.0)
        self._changed = self._now()
        self._on_work(max(0.0, sum(self._flops.values()) - before))

    @property
    def booked(self) -> float:
        """FLOPs under the open stage so far; 0 where none is open."""
        return 0.0 if self._stage is None else self._flops[self._stage]

    def take_back(self, booked: float) -> None:
        """The open stage has ``booked`` FLOPs again: what came after was an attempt that failed and is made anew."""
        if self._stage is not None:
            self._flops[self._stage] = booked

    def rows(self) -> tuple[CostRow, ...]:
        """One row a stage, in the order they were first entered, inner before outer. An open one counts too."""
        if self._booking:
            self._clock(self._stage)
        return tuple(
            CostRow(name, self._seconds[name], flops / self.flops_per_pass, flops)
            for name, flops in self._flops.items()
        )


def together(rows: Iterable[CostRow], name: str, stages: Collection[str]) -> CostRow:
    """What those of ``rows`` took that are one of ``stages``, as one row."""
    some = [row for row in rows if row.stage in stages]
    return CostRow(
        name, sum(row.seconds for row in some), sum(row.forward_passes for row in some), sum(row.flops for row in some)
    )


def attention_flops(layer: Layer, queries: float, rows: float, keys: float) -> float:
    """One live attention: k and v at ``rows`` positions; q, scores, mixing and output at ``queries`` of them.

    Each query sees ``keys`` keys: the causal mask is applied afterwards, so it saves nothing.
    """
    return z_flops(layer, queries, rows, keys) + output_flops(layer, queries, layer.q.weight.shape[0] // layer.d_head)


def z_flops(layer: Layer, queries: float, rows: float, keys: float) -> float:
    """``attention_flops`` up to z: without the output projection."""
    projections = 2 * (rows * (layer.k.weight.numel() + layer.v.weight.numel()) + queries * layer.q.weight.numel())
    return projections + head_flops(layer, queries, keys, layer.q.weight.shape[0] // layer.d_head)


def output_flops(layer: Layer, rows: float, heads: int) -> float:
    """The output projection of ``heads`` heads at ``rows`` positions."""
    return 2 * rows * heads * layer.d_head * layer.o.weight.shape[0]


def head_flops(layer: Layer, rows: float, keys: float, heads: int) -> float:
    """Scores and mixing of ``heads`` heads alone."""
    return 4 * rows * keys * heads * layer.d_head


def mlp_flops(layer: Layer, rows: float) -> float:
    return 2 * rows * layer.mlp_parameters


def block_flops(layer: Layer, resid: Tensor, attn_out: Tensor) -> float:
    """``Layer.output`` of a stream and an attention output of which one may be shared by all senders.

    A parallel block's MLP does not see what attention wrote, so it runs on the stream's rows alone.
    """
    rows = resid[..., 0].numel()
    return mlp_flops(layer, rows if layer.parallel else max(rows, attn_out[..., 0].numel()))


def unembed_flops(parts: Parts, rows: float, tokens: int) -> float:
    """Logits of ``tokens`` vocabulary entries at ``rows`` positions."""
    return 2 * rows * tokens * parts.unembedding.weight.shape[1]


def forward_flops(parts: Parts, prompts: Prompts) -> float:
    """One forward pass of all clean prompts, with the logits their metric reads at the end position."""
    vocabulary, total = parts.unembedding.weight.shape[0], 0.0
    for batch in prompts.batches():
        read = len(tokens_read(batch.pairs, prompts.metric, vocabulary))
        total += batch_flops(parts, len(batch.pairs), batch.clean.shape[1], read)
    return total


def batch_flops(parts: Parts, pairs: int, length: int, tokens: int) -> float:
    """One forward pass of ``pairs`` prompts of ``length`` positions; ``tokens`` logits at the end position."""
    return _layers_flops(parts, pairs, length) + unembed_flops(parts, pairs, tokens)


def gradient_flops(parts: Parts, pairs: int, length: int, tokens: int) -> float:
    """A forward pass and the backward one to every layer's z; no weight has a gradient.

    Backwards a projection costs what it cost forwards, a product of two activations twice that. Below
    the first layer's z nothing is asked for.
    """
    rows, total = pairs * length, batch_flops(parts, pairs, length, tokens) + unembed_flops(parts, pairs, tokens)
    for index, layer in enumerate(parts.layers):
        heads = layer.q.weight.shape[0] // layer.d_head
        total += mlp_flops(layer, rows) + output_flops(layer, rows, heads)
        if index:
            total += z_flops(layer, rows, rows, length) + head_flops(layer, rows, length, heads)
    return total


def pass_flops(model: Model, prompts: Prompts) -> float:
    """What counts as one forward pass of ``model``: by formula, or counted where its parts are not known."""
    return forward_flops(model.parts, prompts) if model.fast else hooked_flops(model, prompts)


def hooked_flops(model: Model, prompts: Prompts) -> float:
    """One hooked forward of all clean prompts: the whole vocabulary's logits at every position."""
    if not model.fast:
        shapes = [batch.clean.shape for batch in prompts.batches()]
        return sum(pairs * model.counted_flops(length) for pairs, length in shapes)
    parts, total = model.parts, 0.0
    vocabulary = parts.unembedding.weight.shape[0]
    for batch in prompts.batches():
        pairs, length = batch.clean.shape
        total += _layers_flops(parts, pairs, length) + unembed_flops(parts, pairs * length, vocabulary)
    return total


def _layers_flops(parts: Parts, pairs: int, length: int) -> float:
    rows = pairs * length
    return sum(attention_flops(layer, rows, rows, length) + mlp_flops(layer, rows) for layer in parts.layers)
