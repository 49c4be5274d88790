"""A run's circuit found again on one draw of prompts: a whole run, measured on the prompts of the report seed.

See engine/trust/stability.py for what is drawn, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.ablation import Ablator
from engine.activations import Activations, capture, pair_probabilities
from engine.baseline import measure_baseline
from engine.circuit import Circuit
from engine.cost.ledger import Ledger, pass_flops
from engine.errors import HeadlightError
from engine.fresh import fresh_activations
from engine.heads import mask_of
from engine.machine.memory import activation_bytes
from engine.metrics import faithfulness
from engine.notes.noted_metrics import GoingOn
from engine.pipeline import find_again
from engine.prepare import Prepared, score_heads, task_prompts
from engine.progress import Watcher
from engine.settings import Settings
from engine.subset import subset
from engine.trust.draws import Draw, Kind

STAGE = "stability"
NAN = float("nan")


@dataclass(frozen=True)
class Refind:
    """One run. ``circuit`` is None where it could not be done; ``problem`` says why.

    ``faithfulness``: on the report prompts. ``used`` and ``held_out``: on the templates it was found on and on the one
    left out, NaN for the other kinds.
    """

    draw: Draw
    circuit: Circuit | None
    problem: str = ""
    faithfulness: float = NAN
    used: float = NAN
    held_out: float = NAN


class DrawBench:
    """What all runs share: the prompts they are reported on, and those they are drawn from."""

    def __init__(self, prepared: Prepared, settings: Settings, ledger: Ledger) -> None:
        self.prepared, self.settings, self.ledger = prepared, settings, ledger
        self.report, self.report_seed = fresh_activations(prepared, settings.report_seed, ledger)
        self.reported = GoingOn(Ablator(prepared.model, self.report, ledger), ledger)
        self.own = GoingOn(Ablator(prepared.model, prepared.activations, ledger), ledger)
        # Two more sets of activations lie in memory than a run of its own has: what is kept gives way.
        positions = sum(len(pair.clean_tokens) for pair in prepared.prompts.pairs)
        room = prepared.memory.streams - 2 * activation_bytes(prepared.model, positions)
        self.memory = replace(prepared.memory, streams=max(0.0, room))

    @property
    def flops(self) -> float:
        """All that was booked so far."""
        return sum(row.flops for row in self.ledger.rows())

    def took(self, refind: Refind) -> None:
        """A run that was done before: what follows costs what it would have cost after it."""
        if refind.circuit is not None:
            keep = mask_of(refind.circuit.heads, refind.circuit.n_layers, refind.circuit.n_heads)
            self.reported.took(keep)
            if refind.draw.left_out is not None:
                self.own.took(keep)

    def refind(self, draw: Draw, watcher: Watcher) -> Refind:
        try:
            drawn = self._drawn(draw)
            circuit, cost = find_again(drawn, drawn.settings, watcher)
        except HeadlightError as error:  # say, a template without which the metric does not change
            return Refind(draw, None, str(error))
        self.ledger.add(sum(row.flops for row in cost))
        keep = mask_of(circuit.heads, circuit.n_layers, circuit.n_heads)
        used, held_out = (NAN, NAN) if draw.left_out is None else self._generalisation(draw, keep)
        everything = range(len(self.report.prompts))
        reported = _faithfulness(self.report, self.reported.by_pair(keep), everything)
        return Refind(draw, circuit, "", reported, used, held_out)

    def _drawn(self, draw: Draw) -> Prepared:
        """Prepared as for a run of its own, on the activations of the draw."""
        model, rows = self.prepared.model, self.memory.rows
        settings = self.settings
        if draw.kind is Kind.SEED:
            settings = replace(settings, seed=draw.seed)
            activations = capture(model, task_prompts(model, settings, draw.seed), rows)
            self.ledger.add(2 * pass_flops(model, activations.prompts))
        else:
            activations = subset(model, self.prepared.activations, draw.places, rows)
        return replace(
            self.prepared,
            settings=replace(settings, pairs=len(activations.prompts)),
            prompts=activations.prompts,
            activations=activations,
            baseline=measure_baseline(activations),
            scores=score_heads(model, activations),
            memory=self.memory,
            cost=(),
            probabilities=pair_probabilities(model, activations),
        )

    def _generalisation(self, draw: Draw, keep: Tensor) -> tuple[float, float]:
        """Faithfulness on the templates used, and on the one left out; means are those of each template's own group."""
        activations = self.prepared.activations
        values = self.own.by_pair(keep)
        others = sorted(set(range(len(activations.prompts))) - set(draw.places))
        return _faithfulness(activations, values, draw.places), _faithfulness(activations, values, others)


def _faithfulness(activations: Activations, values: Tensor, places: Sequence[int]) -> float:
    """Of the pairs at ``places``, from the circuit's metric ``values [pair]``; NaN if corruption changes nothing."""
    at = torch.tensor(list(places))
    clean, corrupted = (activations.by_pair(f"{run}_metric").double()[at].mean() for run in ("clean", "corrupted"))
    return faithfulness(float(values[at].mean()), float(clean), float(corrupted))
