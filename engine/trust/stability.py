"""Is the circuit the model's or the draw's? It is found again on other prompts, by the same settings.

1. Resamples: pairs drawn with replacement within each template group, as many as it has. The prompts have run, so
   that no forward is done again (engine/subset.py).
2. Seeds: fresh prompts, templates too, of seeds that follow the report seed.
3. Templates: all pairs but those of one template group; and how faithful that circuit is on the template left out
   beside the templates it was found on.
4. Each of these is a whole run: scores, keep mask, search. Its circuit is then measured on the fresh prompts of the
   report seed, by mean ablation of all other heads.
5. Frequencies are counted by kind and over all runs (engine/trust/frequency.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.ablation import Ablation
from engine.circuit import Circuit
from engine.cost.ledger import CostRow, Ledger, pass_flops
from engine.errors import Cancelled, HeadlightError
from engine.executor.executor import Executor
from engine.notes.journal import Journal
from engine.notes.notes import begun
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.settings import Settings
from engine.trust.draws import Kind, Plan, draws_of
from engine.trust.frequency import CircuitFrequency, Frequency, frequency, frequency_in
from engine.trust.refind import STAGE, Refind
from engine.trust.refind_runs import Elsewhere, Here, Noted


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


def stability(
    prepared: Prepared,
    settings: Settings,
    plan: Plan,
    watcher: Watcher,
    executor: Executor | None = None,
    journal: Journal | None = None,
) -> Stability:
    """Find the circuit of ``settings`` again by ``plan``; ``prepared`` is the run whose circuit is in question.

    ``executor``: who does the runs, each a unit of its own; this thread if None. The numbers are the same. Runs that
    ``journal`` has are not done again.
    Stopped, the runs done by then come back, marked not complete; stopped before the first, raises Cancelled. Raises
    HeadlightError if nothing is left to do, or no run could be done.
    """
    if settings.mlps:
        raise HeadlightError("Stability is about circuits of heads. Ask for it without MLPs as nodes.")
    draws, notes = draws_of(prepared, settings, plan)
    if journal is not None:
        journal, prepared = begun(journal, prepared, settings)
    ledger = Ledger(pass_flops(prepared.model, prepared.prompts), watcher.spend, watcher.now)
    done: list[Refind] = []
    with ledger.stage(STAGE):
        watcher.step(STAGE, 0, len(draws))
        start = (prepared, settings, ledger)
        runs = Here(*start) if executor is None else Elsewhere(*start, executor)
        try:
            noted = Noted(runs, journal or Journal(), ledger, (prepared.model.n_layers, prepared.model.n_heads))
            for refind in noted.refinds(draws, watcher):
                done.append(refind)
                watcher.step(STAGE, len(done), len(draws))
        except Cancelled:
            if not done:
                raise
    done.sort(key=lambda refind: draws.index(refind.draw))  # workers finish in any order
    if all(refind.circuit is None for refind in done):
        raise HeadlightError(f"The circuit could not be found again at all. The first time: {done[0].problem}")
    kinds = {kind: frequency(_circuits(done, kind)) for kind in Kind if _circuits(done, kind)}
    return Stability(
        settings=settings,
        plan=plan,
        refinds=tuple(done),
        by_kind=kinds,
        overall=frequency(_circuits(done)),
        report_seed=runs.report.seed,
        n=runs.report.n,
        fresh=runs.report.seed != prepared.settings.seed,
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
