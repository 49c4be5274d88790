"""Is the circuit the model's or the draw's? It is found again on other prompts, by the same settings.

1. Resamples: pairs drawn with replacement within each template group, as many as it has. The prompts have run, so
   that no forward is done again (engine/subset.py).
2. Seeds: fresh prompts, templates too, of seeds that follow the report seed.
3. Templates: all pairs but those of one template group; and how faithful that circuit is on the template left out
   beside the templates it was found on.
4. Each of these is a whole run: scores, keep mask, search. Its circuit is then measured on the fresh prompts of the
   report seed, by mean ablation of all other heads.
5. Frequencies are counted by kind and over all runs (engine/frequency.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.ablation import Ablation, Ablator
from engine.activations import Activations, capture, pair_probabilities
from engine.baseline import measure_baseline
from engine.circuit import Circuit
from engine.cost import CostRow, Ledger, pass_flops
from engine.draws import Draw, Kind, Plan, draws_of
from engine.errors import Cancelled, HeadlightError
from engine.frequency import CircuitFrequency, Frequency, frequency, frequency_in
from engine.fresh import fresh_activations
from engine.heads import mask_of
from engine.memory import activation_bytes
from engine.metrics import faithfulness
from engine.pipeline import find_again
from engine.prepare import Prepared, score_heads, task_prompts
from engine.progress import Preliminary, Watcher
from engine.search import STAGE as SEARCH
from engine.settings import Settings
from engine.subset import subset

STAGE = "stability"
SEARCH_SHARE = 0.95  # of a run; the circuit is still to be measured
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


@dataclass(frozen=True, eq=False)
class Stability:
    """All runs, and how often each head and edge was found.

    ``fresh`` is False for an own task: its report prompts are its own. ``notes`` say what could not be asked.
    ``complete`` is False after a cancel: the runs that were done by then.
    """

    settings: Settings
    plan: Plan
    refinds: tuple[Refind, ...]
    by_kind: Mapping[Kind, Frequency]
    overall: Frequency
    report_seed: int
    n: int  # report pairs
    fresh: bool
    ablation: Ablation
    notes: tuple[str, ...]
    cost: tuple[CostRow, ...]
    complete: bool

    @property
    def failed(self) -> tuple[Refind, ...]:
        return tuple(refind for refind in self.refinds if refind.circuit is None)


def stability(prepared: Prepared, settings: Settings, plan: Plan, watcher: Watcher) -> Stability:
    """Find the circuit of ``settings`` again by ``plan``; ``prepared`` is the run whose circuit is in question.

    Stopped, the runs done by then come back, marked not complete; stopped before the first, raises Cancelled. Raises
    HeadlightError if nothing is left to do, or no run could be done.
    """
    if settings.mlps:
        raise HeadlightError("Stability is about circuits of heads. Ask for it without MLPs as nodes.")
    draws, notes = draws_of(prepared, settings, plan)
    ledger = Ledger(pass_flops(prepared.model, prepared.prompts), watcher.spend, watcher.now)
    done: list[Refind] = []
    with ledger.stage(STAGE):
        watcher.step(STAGE, 0, len(draws))
        bench = _Bench(prepared, settings, ledger)
        try:
            for draw in draws:
                done.append(bench.refind(draw, _Inside(watcher, len(done), len(draws))))
                watcher.step(STAGE, len(done), len(draws))
        except Cancelled:
            if not done:
                raise
    if all(refind.circuit is None for refind in done):
        raise HeadlightError(f"The circuit could not be found again at all. The first time: {done[0].problem}")
    kinds = {kind: frequency(_circuits(done, kind)) for kind in Kind if _circuits(done, kind)}
    return Stability(
        settings=settings,
        plan=plan,
        refinds=tuple(done),
        by_kind=kinds,
        overall=frequency(_circuits(done)),
        report_seed=bench.report_seed,
        n=len(bench.report.prompts),
        fresh=bench.report_seed != prepared.settings.seed,
        ablation=Ablation.MEAN,
        notes=(*notes, *_unjudged(kinds)),
        cost=ledger.rows(),
        complete=len(done) == len(draws),
    )


def frequency_of(circuit: Circuit, found: Stability) -> CircuitFrequency:
    """How often each head and edge of ``circuit`` was found over all runs: the opacity of its graph."""
    return frequency_in(circuit, found.overall)


def _circuits(done: Sequence[Refind], kind: Kind | None = None) -> list[Circuit]:
    return [r.circuit for r in done if r.circuit is not None and kind in (None, r.draw.kind)]


def _unjudged(kinds: Mapping[Kind, Frequency]) -> Iterator[str]:
    for kind, found in kinds.items():
        if not found.judged:
            yield f"There is one run of the kind “{kind.value}”: no frequency can be judged from it."


class _Bench:
    """What all runs share: the prompts they are reported on, and those they are drawn from."""

    def __init__(self, prepared: Prepared, settings: Settings, ledger: Ledger) -> None:
        self.prepared, self.settings, self.ledger = prepared, settings, ledger
        self.report, self.report_seed = fresh_activations(prepared, settings.report_seed, ledger)
        self.reported = Ablator(prepared.model, self.report, ledger)
        self.own = Ablator(prepared.model, prepared.activations, ledger)
        # Two more sets of activations lie in memory than a run of its own has: what is kept gives way.
        positions = sum(len(pair.clean_tokens) for pair in prepared.prompts.pairs)
        room = prepared.memory.streams - 2 * activation_bytes(prepared.model, positions)
        self.memory = replace(prepared.memory, streams=max(0.0, room))

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


class _Inside(Preliminary):
    """Shows one run's search as its share of all runs; what it spends is booked by the runs' owner."""

    def __init__(self, watcher: Watcher, done: int, total: int) -> None:
        super().__init__(watcher, STAGE)
        self._done, self._total = done, total

    def report(self, stage: str, done: float, total: float) -> None:
        share = SEARCH_SHARE * done / total if stage == SEARCH and total else 0.0
        self._watcher.report(STAGE, self._done + share, self._total)

    def spend(self, flops: float) -> None:
        self._watcher.check()
