"""What the plain hooked way takes: timed on a few senders, because on all of them it would take hours.

Every sender costs the same whole forwards, whichever it is, so seconds for all follow from a sample:
recordings, paid once, plus seconds a sender times their number.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from benchmarks.timing import timed
from engine.activations import Activations, capture
from engine.circuit import Input
from engine.heads import Head
from engine.hooked import end_logits
from engine.models.bridge import hook_name
from engine.models.hooks import recorder, replacing
from engine.models.model import Model
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_effects, reference_passes
from engine.search.path_patching import SearchStep
from engine.tasks.prompts import Prompts

SAMPLE = 4  # senders
PASSES = 3


@dataclass(frozen=True, eq=False)
class ReferenceTime:
    """Seconds paid once (capture and recordings) and by sender; ``f [layer head]`` of the sampled senders."""

    once: float
    per_sender: float
    f: Tensor


def time_reference(model: Model, prompts: Prompts, receiver: Receiver, sample: Sequence[Head]) -> ReferenceTime:
    """Two senders or more, from tokens."""
    moments = [time.perf_counter()]
    f = reference_effects(
        model, capture(model, prompts), receiver, sample, lambda share: moments.append(time.perf_counter())
    )
    per_sender = statistics.median(later - earlier for earlier, later in pairwise(moments[1:]))
    return ReferenceTime(max(0.0, moments[1] - moments[0] - per_sender), per_sender, f)


@torch.no_grad()
def pass_two_seconds(model: Model, prompts: Prompts, receiver: Receiver) -> float:
    """One sender's second hooked forward of all pairs: a clean run with one layer's q, k or v replaced."""
    assert receiver.head is not None
    point = hook_name(receiver.head.layer, receiver.input.value)
    ready = []
    for batch in prompts.batches():
        recorded: dict[str, Tensor] = {}
        end_logits(model, batch.clean, [recorder(recorded, point)])
        ready.append((batch.clean, [replacing(point, recorded[point])]))

    def forwards() -> None:
        for tokens, hooks in ready:
            end_logits(model, tokens, hooks)

    return statistics.median(timed(forwards)[0] for _ in range(PASSES))


def hooked_pass_seconds(model: Model, activations: Activations) -> float:
    """One hooked forward of all pairs, the mean of a path's first and second."""
    receiver = Receiver(Input.Q, Head(model.n_layers - 1, 0))
    sample = evenly(senders_below(model, receiver), SAMPLE)
    return time_reference(model, activations.prompts, receiver, sample).per_sender / 2


def passes_of_search(steps: Sequence[SearchStep]) -> int:
    """Hooked forwards of all pairs for exactly the receivers and senders a search has visited."""
    return sum(reference_passes(_receiver_of(step), int((~step.effects.isnan()).sum())) for step in steps)


def senders_below(model: Model, receiver: Receiver) -> list[Head]:
    """Every head that can reach ``receiver``."""
    top = model.n_layers if receiver.head is None else receiver.head.layer
    return [Head(layer, index) for layer in range(top) for index in range(model.n_heads)]


def evenly(senders: Sequence[Head], count: int) -> list[Head]:
    """``count`` of them from bottom to top."""
    return list(senders[:: max(1, len(senders) // count)][:count])


def _receiver_of(step: SearchStep) -> Receiver:
    return Receiver(step.input, step.receivers[0]) if step.receivers else LOGITS
