"""How cost grows with heads, pairs and tokens: random models of GPT-2's architecture, one size changed at a time.

Each point, from tokens: all heads on the logits, and all heads below a late head on its q, k and v in one go,
exactly and screened without recomputing anything, so that the work does not depend on what is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from benchmarks.models import TOKENS, gpt2_like, random_prompts
from benchmarks.reference import senders_below
from engine.activations import Activations, capture
from engine.circuit import Input
from engine.cost.ledger import CostRow, Ledger, pass_flops, together
from engine.heads import Head
from engine.models.model import Model
from engine.patching.effects import PathPatching
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.screening import ScreenedPatching
from engine.prepare import warm_up
from engine.tasks.prompts import Prompts

VOCABULARY = 1000  # the metric reads a few logits, so its size does not matter
LATE = 0.75  # how high the receiving layer lies
MODES = ("logits", "exact", "screened")


@dataclass(frozen=True)
class Size:
    """``side`` layers of ``side`` heads."""

    side: int
    pairs: int
    tokens: int


BASE = Size(8, 8, TOKENS)
SIZES = (
    Size(4, 8, TOKENS), BASE, Size(12, 8, TOKENS),
    Size(8, 4, TOKENS), Size(8, 16, TOKENS),
    Size(8, 8, 30), Size(8, 8, 60),
)  # fmt: skip
QUICK = (Size(2, 2, 12), Size(3, 2, 12))


@dataclass(frozen=True)
class Scaling:
    """One size and one kind of work: seconds, one value a repeat, and FLOPs."""

    side: int
    pairs: int
    tokens: int
    work: str  # of MODES
    senders: int
    seconds: list[float]
    flops: float
    passes: float  # forward-pass equivalents


def measure(repeats: int, quick: bool) -> Iterator[Scaling]:
    for size in QUICK if quick else SIZES:
        model = gpt2_like(size.side, size.side, d_head=8 if quick else 64, vocab=VOCABULARY)
        prompts = random_prompts(model, size.pairs, size.tokens)
        warm_up(model, prompts)
        late = Head(int(LATE * size.side), size.side - 1)
        rounds = [[_once(model, prompts, late, mode) for mode in MODES] for _ in range(repeats)]
        for mode, rows in zip(MODES, zip(*rounds, strict=True), strict=True):
            receiver = LOGITS if mode == "logits" else Receiver(Input.Q, late)
            yield Scaling(
                side=size.side,
                pairs=size.pairs,
                tokens=size.tokens,
                work=mode,
                senders=len(senders_below(model, receiver)),
                seconds=[row.seconds for row in rows],
                flops=rows[0].flops,
                passes=rows[0].forward_passes,
            )


def _once(model: Model, prompts: Prompts, late: Head, mode: str) -> CostRow:
    ledger = Ledger(pass_flops(model, prompts))
    with ledger.stage(mode):
        activations = capture(model, prompts)
        ledger.add(2 * ledger.flops_per_pass)
        _WORK[mode](model, activations, late, ledger)
    return together(ledger.rows(), mode, [row.stage for row in ledger.rows()])


def _logits(model: Model, activations: Activations, late: Head, ledger: Ledger) -> None:
    PathPatching(model, activations, senders_below(model, LOGITS), ledger).measure([LOGITS])


def _exact(model: Model, activations: Activations, late: Head, ledger: Ledger) -> None:
    receivers = _inputs(late)
    PathPatching(model, activations, senders_below(model, receivers[0]), ledger).measure(receivers)


def _screened(model: Model, activations: Activations, late: Head, ledger: Ledger) -> None:
    receivers = _inputs(late)
    exact = PathPatching(model, activations, senders_below(model, receivers[0]), ledger)
    ScreenedPatching(exact).measure(receivers, lambda receiver, f: torch.zeros_like(f, dtype=torch.bool))


_WORK: dict[str, Callable[..., None]] = dict(zip(MODES, (_logits, _exact, _screened), strict=True))


def _inputs(late: Head) -> list[Receiver]:
    return [Receiver(letter, late) for letter in (Input.Q, Input.K, Input.V)]
