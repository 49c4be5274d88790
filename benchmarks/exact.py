"""Exact path patching against the plain hooked one: same work, same process, alternating.

The fast path does all senders. The reference is timed on one and on a few of them: the difference is what a
sender costs, whichever it is, and the rest (recording runs) is paid once. Its seconds for all senders
follow from that. Both start from tokens: caching runs are included.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.activations import capture
from engine.cost import Ledger
from engine.heads import Head
from engine.models.model import Model
from engine.patching.effects import PathPatching
from engine.patching.receiver import Receiver
from engine.patching.reference import reference_effects
from engine.tasks.prompts import Prompts

SAMPLE = 6  # senders the reference is timed on


@dataclass(frozen=True)
class Comparison:
    """Seconds for all ``senders`` on one receiver; lists hold one value a repeat."""

    work: str
    senders: int
    reference: list[float]
    fast: list[float]
    largest_difference: float  # in f, over the sampled senders
    gflops: float  # matmul rate of the fast path in its median repeat

    @property
    def ratios(self) -> list[float]:
        return [slow / quick for slow, quick in zip(self.reference, self.fast, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


def compare(model: Model, prompts: Prompts, receiver: Receiver, repeats: int) -> Comparison:
    """Time both on ``receiver`` with every head below it as sender."""
    top = model.n_layers if receiver.head is None else receiver.head.layer
    senders = [Head(layer, index) for layer in range(top) for index in range(model.n_heads)]
    step = max(1, len(senders) // SAMPLE)
    sample = senders[::step][:SAMPLE]
    reference, fast = [], []
    difference, flops = 0.0, 0.0
    for _ in range(repeats):
        ledger = Ledger(1.0)
        seconds, effects = _timed(lambda ledger=ledger: _fast(model, prompts, receiver, senders, ledger))
        fast.append(seconds)
        flops = ledger.rows()[0].flops
        one_seconds, _ = _timed(lambda: _slow(model, prompts, receiver, sample[:1]))
        slow_seconds, slow = _timed(lambda: _slow(model, prompts, receiver, sample))
        per_sender = (slow_seconds - one_seconds) / (len(sample) - 1)
        reference.append(one_seconds + per_sender * (len(senders) - 1))
        gap = max(abs(float(effects[s.layer, s.index] - slow[s.layer, s.index])) for s in sample)
        difference = max(difference, gap)
    work = f"{model.name}, {receiver}"
    return Comparison(work, len(senders), reference, fast, difference, flops / statistics.median(fast) / 1e9)


def _fast(model: Model, prompts: Prompts, receiver: Receiver, senders: list[Head], ledger: Ledger):
    with ledger.stage("fast"):
        return PathPatching(model, capture(model, prompts), senders, ledger).effects(receiver)


def _slow(model: Model, prompts: Prompts, receiver: Receiver, senders: list[Head]):
    return reference_effects(model, capture(model, prompts), receiver, senders)


def _timed(work: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
