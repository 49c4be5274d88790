"""Who finds a circuit again on all draws: this thread, or an executor (engine/executor/) to which each is a unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from engine.cost.ledger import CostRow, Ledger, together
from engine.cost.ledger_json import work_in, work_json
from engine.errors import HeadlightError
from engine.executor.executor import Executor
from engine.executor.units import DrawUnit, Unit
from engine.notes.journal import Chunk, Journal
from engine.prepare import Prepared
from engine.progress import Preliminary, Watcher
from engine.record.circuit_file import parse_circuit
from engine.record.json_values import Json, number
from engine.record.reader import Reader
from engine.record.writing import circuit_json
from engine.search.path_patching import STAGE as SEARCH
from engine.settings import Settings
from engine.trust.draws import Draw
from engine.trust.refind import STAGE, DrawBench, Refind

MOST_PROBLEM = 10_000  # letters of what went wrong
SEARCH_SHARE = 0.95  # of a run; the circuit is still to be measured


@dataclass(frozen=True)
class Report:
    """Of the prompts that all runs are measured on."""

    seed: int
    n: int


class Here:
    """All runs in this thread, one after another."""

    def __init__(self, prepared: Prepared, settings: Settings, ledger: Ledger) -> None:
        self._bench = DrawBench(prepared, settings, ledger)

    @property
    def report(self) -> Report:
        return Report(self._bench.report_seed, len(self._bench.report.prompts))

    def took(self, refind: Refind) -> None:
        """A run that was done before."""
        self._bench.took(refind)

    def refinds(self, draws: Sequence[Draw], watcher: Watcher, before: int = 0) -> Iterator[Refind]:
        """``before``: runs of the same plan that were done before these."""
        for done, draw in enumerate(draws, start=before):
            yield self._bench.refind(draw, _Inside(watcher, done, before + len(draws)))


class Elsewhere:
    """Each run a unit that an executor does; what each does is booked, what workers prepare twice included."""

    def __init__(self, prepared: Prepared, settings: Settings, ledger: Ledger, executor: Executor) -> None:
        self._prepared, self._settings, self._ledger, self._executor = prepared, settings, ledger, executor
        self.report = Report(prepared.settings.seed, len(prepared.prompts))

    def took(self, refind: Refind) -> None:
        """Units know nothing of each other."""

    def refinds(self, draws: Sequence[Draw], watcher: Watcher, before: int = 0) -> Iterator[Refind]:
        by_unit: dict[Unit, Draw] = {self._unit(draw): draw for draw in draws}
        for outcome in self._executor.run(list(by_unit), Preliminary(watcher, STAGE)):
            draw, result = by_unit[outcome.unit], outcome.result
            if result is None:
                yield Refind(draw, None, outcome.error)
                continue
            self.report = Report(**result.values["report"])
            self._ledger.add(result.values["flops"])
            yield refind_in(result.values, draw, self._prepared.model.n_layers, self._prepared.model.n_heads)

    def _unit(self, draw: Draw) -> DrawUnit:
        prepared = self._prepared
        return DrawUnit(
            self._settings, torch.get_num_threads(), prepared.model.fingerprint,
            prepared.prompts if prepared.custom else None, draw.kind, draw.label, draw.seed, draw.left_out,
            prepared.memory,
        )  # fmt: skip


class Noted:
    """Takes from a journal the runs it has, and notes each of the others once it is done.

    A note has what its own run took, so it does not matter in which order runs end.
    """

    def __init__(self, runs: Here | Elsewhere, journal: Journal, ledger: Ledger, shape: tuple[int, int]) -> None:
        self._runs, self._journal, self._ledger, self._shape = runs, journal, ledger, shape

    def refinds(self, draws: Sequence[Draw], watcher: Watcher) -> Iterator[Refind]:
        missing: list[Draw] = []
        for draw in draws:
            if (found := self._read(draw)) is None:
                missing.append(draw)
            else:
                self._runs.took(found)
                yield found
        before = self._booked()
        for refind in self._runs.refinds(missing, watcher, len(draws) - len(missing)):
            now = self._booked()
            took = CostRow(STAGE, now.seconds - before.seconds, 0.0, now.flops - before.flops)
            self._journal.write(_note_name(refind.draw), Chunk(refind_json(refind) | {"took": work_json(took)}))
            before = now
            yield refind

    def _read(self, draw: Draw) -> Refind | None:
        chunk = self._journal.read(_note_name(draw))
        if chunk is None:
            return None
        try:
            took = work_in(Reader(chunk.values, "the note of a run").part("took"), STAGE)
            found = refind_in(chunk.values, draw, *self._shape)
        except HeadlightError:  # the note of another program: its work is done again
            return None
        booked = self._booked()
        rest = [row for row in self._ledger.rows() if row.stage != STAGE]
        self._ledger.stand_at([*rest, CostRow(STAGE, booked.seconds + took.seconds, 0.0, booked.flops + took.flops)])
        return found

    def _booked(self) -> CostRow:
        return together(self._ledger.rows(), STAGE, [STAGE])


def _note_name(draw: Draw) -> str:
    return f"draw {draw.label}"


def refind_json(refind: Refind) -> Json:
    """What a run found, without the draw; ``refind_in`` is the inverse."""
    circuit = None if refind.circuit is None else circuit_json(refind.circuit)
    numbers = {name: number(getattr(refind, name)) for name in ("faithfulness", "used", "held_out")}
    return {"circuit": circuit, "problem": refind.problem, **numbers}


def refind_in(values: Json, draw: Draw, n_layers: int, n_heads: int) -> Refind:
    """Raises HeadlightError for what ``refind_json`` did not write."""
    part = Reader(values, "the result of a run")
    circuit = parse_circuit(dict(part.part("circuit").value), n_layers, n_heads) if "circuit" in part else None
    numbers = [part.number(name) for name in ("faithfulness", "used", "held_out")]
    return Refind(draw, circuit, part.text("problem", MOST_PROBLEM), *numbers)


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
