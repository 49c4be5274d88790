"""Path patching the hooked way, exactly and screened: same work, same process, alternating.

1. Comparison: from tokens to the effects of all senders on one receiver, or on one head's q, k and v in
   one go. Fast paths do all senders; the reference is timed on a sample (``reference.py``).
2. PassTwo: what comes after the sender's change has reached the receiver, alone: the first-order estimates
   of all senders given the shared sweep, against a second hooked forward a sender.
3. SweepRate: matmul rate of the shared sweep, beside what this machine reaches at the same moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.models import Subject, bundled, gpt2_like, gpt2_shape, ioi_prompts, random_prompts, toy, warm
from benchmarks.reference import SAMPLE, evenly, pass_two_seconds, senders_below, time_reference
from benchmarks.timing import square_rate, timed
from engine.activations import Activations, capture
from engine.circuit import Input
from engine.cost.ledger import Ledger, forward_flops
from engine.cost.speed import flops_per_second
from engine.heads import Head
from engine.machine.memory import ROWS, MemoryPlan
from engine.models.model import Model
from engine.patching.effects import PathPatching
from engine.patching.gradients import z_gradients
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.screening import ScreenedPatching, Screening
from engine.search.path_patching import Thresholds, deciding_senders
from engine.settings import Settings
from engine.tasks.prompts import Prompts

PAIRS = 16
LONG = 60  # tokens
SINGLE_SHARE = 3  # q, k and v one by one get this part of the repeats
EVERYTHING = MemoryPlan(ROWS, ROWS, streams=float("inf"))  # keep every stream


@dataclass(frozen=True)
class Comparison:
    """Seconds, one value a repeat; ``screened`` is empty for the logits, which no mode estimates."""

    model: str
    work: str
    tokens: int
    senders: int
    reference: list[float]
    exact: list[float]
    screened: list[float]
    difference: float  # largest |f_exact - f_reference| over the sampled senders
    exact_flops: float
    recomputed: float | None  # share of the estimated paths


@dataclass(frozen=True)
class PassTwo:
    """Seconds for one receiver and all senders below it; ``gradients`` are paid once for all receivers."""

    model: str
    receiver: str
    senders: int
    reference: list[float]
    estimates: list[float]
    gradients: list[float]
    disagreement: float  # largest |f_estimated - f_exact| over all senders


@dataclass(frozen=True)
class SweepRate:
    """Rates in FLOPs a second, one value a repeat; ``layer``: norms and MLP alone, ``square``: one large matmul."""

    model: str
    senders: int
    layers: int
    seconds: list[float]
    rate: list[float]
    layer: list[float]
    square: list[float]


def measure(repeats: int, quick: bool) -> Iterator[Comparison | PassTwo | SweepRate]:
    """All rows of the part, the cheap ones of each model first."""
    for subject in _subjects(quick):
        model, prompts = subject.model, subject.prompts
        warm(model, prompts)
        inputs = [Receiver(letter, subject.late) for letter in (Input.Q, Input.K, Input.V)]
        yield sweep_rate(model, prompts, inputs[0], repeats)
        yield compare(model, prompts, [LOGITS], repeats)[0]
        yield compare(model, subject.long, [LOGITS], repeats)[0]
        together, effects = compare(model, prompts, inputs, repeats)
        yield together
        yield from pass_two(model, prompts, effects, repeats)
        for receiver in inputs:
            yield compare(model, prompts, [receiver], max(1, repeats // SINGLE_SHARE))[0]


def _subjects(quick: bool) -> Iterator[Subject]:
    """One at a time: both would lie in memory together."""
    if quick:
        for model in (gpt2_like(3, 2, d_head=8, vocab=100), toy()):
            prompts = random_prompts(model, 2, 12)
            yield Subject(model, prompts, Head(model.n_layers - 1, 1), random_prompts(model, 2, 20))
        return
    model = gpt2_shape()
    yield Subject(model, random_prompts(model, PAIRS), Head(9, 6), random_prompts(model, PAIRS, LONG))
    model = bundled()
    yield Subject(model, ioi_prompts(model, PAIRS), Head(23, 3), random_prompts(model, PAIRS, LONG))


def compare(
    model: Model, prompts: Prompts, receivers: Sequence[Receiver], repeats: int
) -> tuple[Comparison, dict[Receiver, Tensor]]:
    """Reference, exact and screened in turn on the logits, or on inputs of one head; and the exact effects."""
    senders = senders_below(model, receivers[0])
    sample = evenly(senders, SAMPLE)
    reference, exact, screened, difference = [], [], [], 0.0
    flops, effects, screening = 0.0, {}, None
    for _ in range(repeats):
        slow = [time_reference(model, prompts, receiver, sample) for receiver in receivers]
        reference.append(slow[0].once + len(senders) * sum(one.per_sender for one in slow))
        seconds, (effects, flops) = timed(lambda: _exact(model, prompts, receivers, senders))
        exact.append(seconds)
        if LOGITS not in receivers:
            seconds, screening = timed(lambda: _screened(model, prompts, receivers, senders))
            screened.append(seconds)
        gaps = [abs(effects[r] - one.f).nan_to_num().max() for r, one in zip(receivers, slow, strict=True)]
        difference = max(difference, *map(float, gaps))
    row = Comparison(
        model=model.name,
        work=_work(receivers),
        tokens=max(len(pair.clean_tokens) for pair in prompts.pairs),
        senders=len(senders),
        reference=reference,
        exact=exact,
        screened=screened,
        difference=difference,
        exact_flops=flops,
        recomputed=screening.recomputed / screening.estimated if screening else None,
    )
    return row, effects


def _work(receivers: Sequence[Receiver]) -> str:
    if len(receivers) == 1:
        return str(receivers[0])
    return f"{receivers[0].head} {' + '.join(receiver.input.value for receiver in receivers)}"


def _exact(
    model: Model, prompts: Prompts, receivers: Sequence[Receiver], senders: Sequence[Head]
) -> tuple[dict[Receiver, Tensor], float]:
    """Effects by receiver, from tokens, and the FLOPs it took."""
    ledger = Ledger(1.0)
    with ledger.stage("exact"):
        ledger.add(2 * forward_flops(model.parts, prompts))
        measured = PathPatching(model, capture(model, prompts), senders, ledger).measure(receivers)
    flops = sum(row.flops for row in ledger.rows())
    return {r: effects.f for r, effects in zip(receivers, measured, strict=True)}, flops


def _screened(
    model: Model, prompts: Prompts, receivers: Sequence[Receiver], senders: Sequence[Head]
) -> Screening:
    """From tokens, recomputing what decides at the thresholds a run has by default."""
    ledger, settings = Ledger(1.0), Settings()
    thresholds = Thresholds(settings.threshold_scale, settings.min_effect)
    with ledger.stage("screened"):
        patching = ScreenedPatching(PathPatching(model, capture(model, prompts), senders, ledger))
        patching.measure(receivers, lambda receiver, f: deciding_senders(f, _layer(receiver), thresholds))
    return patching.screening


def pass_two(model: Model, prompts: Prompts, exact: dict[Receiver, Tensor], repeats: int) -> Iterator[PassTwo]:
    """One row a receiver of ``exact``, whose effects are compared; streams and gradients are ready."""
    receivers = list(exact)
    senders = senders_below(model, receivers[0])
    activations, ledger = capture(model, prompts), Ledger(1.0)
    with ledger.stage("pass two"):
        patching = ScreenedPatching(PathPatching(model, activations, senders, ledger, EVERYTHING))
        patching.measure(receivers, _nobody)  # runs the sweep and the gradients
        for receiver in receivers:
            reference, estimates, gradients, gap = [], [], [], 0.0
            for _ in range(repeats):
                reference.append(pass_two_seconds(model, prompts, receiver) * len(senders))
                seconds, measured = timed(lambda r=receiver: patching.measure([r], _nobody))
                estimates.append(seconds)
                gradients.append(timed(lambda: _gradients(model, activations, ledger))[0])
                gap = float((measured[0].f - exact[receiver]).nan_to_num().abs().max())
            yield PassTwo(model.name, str(receiver), len(senders), reference, estimates, gradients, gap)


def _gradients(model: Model, activations: Activations, ledger: Ledger) -> None:
    for item in activations.batches:
        z_gradients(model.parts, item, ROWS, ledger)


def _nobody(receiver: Receiver, f: Tensor) -> Tensor:
    """Decides that no estimate needs to be made exact."""
    return torch.zeros_like(f, dtype=torch.bool)


@torch.no_grad()
def sweep_rate(model: Model, prompts: Prompts, receiver: Receiver, repeats: int) -> SweepRate:
    """All senders to the receiver's layer, at every position that can change."""
    senders, layer = senders_below(model, receiver), _layer(receiver)
    activations = capture(model, prompts)
    seconds, rates, layers, squares = [], [], [], []
    for _ in range(repeats):
        squares.append(square_rate())
        layers.append(flops_per_second(model, ROWS))
        ledger = Ledger(1.0)
        with ledger.stage("sweep"):
            for sweep in PathPatching(model, activations, senders, ledger).sweeps():
                sweep.stream_into(layer)
        seconds.append(ledger.rows()[0].seconds)
        rates.append(ledger.rows()[0].flops / seconds[-1])
    return SweepRate(model.name, len(senders), layer, seconds, rates, layers, squares)


def _layer(receiver: Receiver) -> int:
    assert receiver.head is not None
    return receiver.head.layer
