"""Who finds a circuit again on all draws: this thread, or an executor (engine/executor/) to which each is a unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from engine.circuit_file import parse_circuit
from engine.cost import Ledger
from engine.draws import Draw
from engine.executor.executor import Executor
from engine.executor.units import DrawUnit, Unit
from engine.json_values import Json, number
from engine.prepare import Prepared
from engine.progress import Preliminary, Watcher
from engine.record import circuit_json
from engine.refind import NAN, STAGE, DrawBench, Refind
from engine.search import STAGE as SEARCH
from engine.settings import Settings

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

    def refinds(self, draws: Sequence[Draw], watcher: Watcher) -> Iterator[Refind]:
        for done, draw in enumerate(draws):
            yield self._bench.refind(draw, _Inside(watcher, done, len(draws)))


class Elsewhere:
    """Each run a unit that an executor does; what each does is booked, what workers prepare twice included."""

    def __init__(self, prepared: Prepared, settings: Settings, ledger: Ledger, executor: Executor) -> None:
        self._prepared, self._settings, self._ledger, self._executor = prepared, settings, ledger, executor
        self.report = Report(prepared.settings.seed, len(prepared.prompts))

    def refinds(self, draws: Sequence[Draw], watcher: Watcher) -> Iterator[Refind]:
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


def refind_json(refind: Refind) -> Json:
    """What a run found, without the draw; ``refind_in`` is the inverse."""
    circuit = None if refind.circuit is None else circuit_json(refind.circuit)
    numbers = {name: number(getattr(refind, name)) for name in ("faithfulness", "used", "held_out")}
    return {"circuit": circuit, "problem": refind.problem, **numbers}


def refind_in(values: Json, draw: Draw, n_layers: int, n_heads: int) -> Refind:
    circuit = None if values["circuit"] is None else parse_circuit(values["circuit"], n_layers, n_heads)
    numbers = [NAN if values[name] is None else values[name] for name in ("faithfulness", "used", "held_out")]
    return Refind(draw, circuit, values["problem"], *numbers)


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
