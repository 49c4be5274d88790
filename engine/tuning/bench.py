"""Where trials are tried: what they share is measured once (SPEED item 9).

1. The effect of a sender on a receiver depends neither on the mask nor on thresholds. Senders are all heads that
   some trial can keep; a receiver is measured when the first trial reaches it.
2. A trial sees the effects of its own mask's heads; all others count as not tried (METHOD section 2.7). So
   it finds what a search of its own would find.
3. Its circuit is ablated on held-out prompts, once for each set of heads.

Effects are first-order estimates where there are any; the trial taken is searched again, exactly where that decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from engine.ablation import Ablator
from engine.activations import Activations, capture
from engine.cost.ledger import CostRow, Ledger, pass_flops, together
from engine.heads import Head, heads_of, mask_of
from engine.metrics import faithfulness, performance
from engine.patching.effects import Decides, Effects, PathPatching, Tick, check_effect_unit
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import ReferencePatching
from engine.patching.screening import ScreenedPatching
from engine.prepare import Prepared, task_prompts
from engine.progress import Watcher
from engine.search.path_patching import (
    LOGITS_THRESHOLD_SCALE,
    Measure,
    Thresholds,
    important_senders,
    layer_thresholds,
    search,
)
from engine.settings import Mode, Settings
from engine.trust.self_check import known_check, self_check
from engine.tuning.results import Outcome, Seeds

STAGE = "tuning"


def seeds_of(prepared: Prepared, settings: Settings) -> Seeds:
    """Of a task of one's own there are no other prompts."""
    own = settings.seed
    return Seeds(own, own, own) if prepared.custom else Seeds(own, settings.tuning_seed, settings.report_seed)


@dataclass(frozen=True)
class Kept:
    """How true the model is with some heads alone: ``faithfulness`` a ratio, ``performance`` in percent."""

    faithfulness: float
    performance: float


class Bench:
    """Tries settings that differ in mask and thresholds; nothing runs before it is asked for."""

    def __init__(self, prepared: Prepared, settings: Settings, widest: Tensor, watcher: Watcher) -> None:
        """``widest [layer head]``: every head that some trial may keep; ``settings`` say how effects are measured."""
        self.prepared, self.model, self.widest = prepared, prepared.model, widest
        self._settings, self._watcher = settings, watcher
        self.ledger = Ledger(pass_flops(self.model, prepared.prompts), watcher.spend, watcher.now)
        self._known: dict[tuple[Head, ...], Kept] = {}

    @property
    def screened(self) -> bool:
        """Whether trials rest on estimates."""
        return self.model.fast and self._settings.mode is Mode.SCREENED

    def spent(self) -> CostRow:
        """All that was booked so far."""
        rows = self.ledger.rows()
        return together(rows, STAGE, [row.stage for row in rows])

    def mask(self, settings: Settings) -> Tensor:
        """Keep mask ``[layer head]`` of a trial."""
        assert settings.sparsity is not None, "a trial has a sparsity"
        return self.prepared.scores.keep(settings.score, settings.sparsity, settings.flap_sparsity)

    def starts(self, mask: Tensor, min_effect: float) -> bool:
        """Whether any head of the mask is important for the logits; else the circuit is empty."""
        f = confined(self._effects.measure([LOGITS], _nobody, lambda share: None)[0], mask).f
        limits = layer_thresholds(f, self.model.n_layers, Thresholds(LOGITS_THRESHOLD_SCALE, min_effect))
        return bool(important_senders(f, limits))

    def kept(self, heads: tuple[Head, ...]) -> Kept:
        """These heads alone on the held-out prompts, all others ablated; measured once."""
        if heads not in self._known:
            value = self._ablator.metric(mask_of(heads, self.model.n_layers, self.model.n_heads))
            clean, corrupted = self._held_out.clean, self._held_out.corrupted
            self._known[heads] = Kept(faithfulness(value, clean, corrupted), performance(value, clean))
        return self._known[heads]

    def find(self, settings: Settings, watcher: Watcher) -> Outcome:
        """The circuit of a trial, by what is shared; raises Cancelled."""
        return self._search(settings, within(self._effects.measure, self.mask(settings)), watcher, self.screened)

    def find_exactly(self, settings: Settings, watcher: Watcher) -> Outcome:
        """The same circuit with every deciding effect exact, as a run of these settings finds it."""
        measure = self._patching.again().measure if isinstance(self._patching, ScreenedPatching) else (
            self._effects.measure
        )
        return self._search(settings, within(measure, self.mask(settings)), watcher, estimated=False)

    def _search(self, settings: Settings, measure: Measure, watcher: Watcher, estimated: bool) -> Outcome:
        thresholds, model = Thresholds(settings.threshold_scale, settings.min_effect), self.model
        result = search(measure, model.n_layers, model.n_heads, model.group, thresholds, watcher)
        watcher.check()  # stopped, a search returns what it had
        kept = self.kept(result.circuit.heads)
        return Outcome(
            result.circuit.heads, len(result.circuit.edges), kept.faithfulness, kept.performance, estimated
        )

    @cached_property
    def _effects(self) -> SharedEffects:
        patching = self._patching
        return SharedEffects(patching.estimates if isinstance(patching, ScreenedPatching) else patching.measure)

    @cached_property
    def _patching(self) -> PathPatching | ScreenedPatching | ReferencePatching:
        senders, prepared = heads_of(self.widest), self.prepared
        if not self.model.fast:
            return ReferencePatching(self.model, prepared.activations, senders, self.ledger)
        if known_check(self.model) is None:
            self.ledger.add(self_check(self.model, prepared.activations, self._watcher.check).flops)
        exact = PathPatching(self.model, prepared.activations, senders, self.ledger, prepared.memory)
        return ScreenedPatching(exact) if self.screened else exact

    @cached_property
    def _held_out(self) -> Activations:
        if self.prepared.custom:
            activations = self.prepared.activations
        else:
            prompts = task_prompts(self.model, self._settings, self._settings.tuning_seed)
            activations = capture(self.model, prompts, self.prepared.memory.rows)
            self.ledger.add(2 * pass_flops(self.model, prompts))
        check_effect_unit(activations)  # faithfulness has the same unit
        return activations

    @cached_property
    def _ablator(self) -> Ablator:
        return Ablator(self.model, self._held_out, self.ledger)


class SharedEffects:
    """Effects of all senders on each receiver, measured when first asked for."""

    def __init__(self, measure: Measure) -> None:
        self._measure, self._known = measure, {}

    def measure(self, receivers: Sequence[Receiver], decides: Decides, tick: Tick) -> list[Effects]:
        """Like any measure; receivers asked for before cost nothing."""
        new = [receiver for receiver in receivers if receiver not in self._known]
        if new:
            self._known |= dict(zip(new, self._measure(new, decides, tick), strict=True))
        return [self._known[receiver] for receiver in receivers]


def within(measure: Measure, mask: Tensor) -> Measure:
    """``measure`` as if the heads of ``mask [layer head]`` alone were senders."""

    def measured(receivers: Sequence[Receiver], decides: Decides, tick: Tick) -> list[Effects]:
        def own(receiver: Receiver, f: Tensor) -> Tensor:
            return decides(receiver, f.where(mask, torch.nan))

        return [confined(effects, mask) for effects in measure(receivers, own, tick)]

    return measured


def confined(effects: Effects, mask: Tensor) -> Effects:
    """Heads outside ``mask [layer head]`` as not measured."""
    return Effects(effects.f.where(mask, torch.nan), effects.estimated & mask)


def _nobody(receiver: Receiver, f: Tensor) -> Tensor:
    return torch.zeros_like(f, dtype=torch.bool)
