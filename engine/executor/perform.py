"""Does one unit of work here: the function that every executor calls, in this process or in a worker.

1. The model is loaded, unless it is the one used last, and must be the one the unit is about.
2. torch gets the threads the unit asks for, and what it had before is given back.
3. A search checks the fast path anew, so that what it finds does not depend on what this process did before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

import torch

from engine.cost.ledger import CostRow, Ledger, pass_flops
from engine.errors import Cancelled, HeadlightError
from engine.executor.split import cost_list, screening_list
from engine.executor.units import DrawUnit, ModelUnit, ReceiversUnit, SearchUnit, Unit
from engine.models.loading import load_model
from engine.models.model import Model
from engine.nodes import node_mask
from engine.notes.journal import Chunk
from engine.patching.effects import Effects, Tick
from engine.patching.receiver import Receiver
from engine.patching.reference import ReferencePatching
from engine.patching.screening import ScreenedPatching
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record.saved_run import parse_nodes
from engine.record.writing import discovery_json
from engine.search.measuring import Patching, patching_of
from engine.search.path_patching import Deciding, Thresholds
from engine.trust.draws import draw_again
from engine.trust.refind import STAGE, DrawBench
from engine.trust.refind_runs import refind_json
from engine.trust.self_check import forget_check

Load = Callable[[str, str, str], Model]


@dataclass(eq=False)
class _Kept:
    """A bench, the unit it was made for but for its draw, and what earlier units have told of its work."""

    of: Unit
    bench: DrawBench
    told: float = 0.0


@dataclass(eq=False)
class _Paths:
    """What measures paths, the unit it was made for but for its receivers, and the cost earlier units have told."""

    of: Unit
    patching: Patching
    ledger: Ledger
    told: Sequence[CostRow] = ()


class Bench:
    """What one process keeps from unit to unit: the model it used last, and the prompts of the last draw."""

    def __init__(self, load: Load = load_model) -> None:
        self._load = load
        self._model: tuple[tuple[str, str, str], Model] | None = None
        self._draws: _Kept | None = None
        self._paths: _Paths | None = None

    def perform(self, unit: Unit, watcher: Watcher) -> Chunk:
        """The unit's result; raises HeadlightError where it cannot be done, Cancelled when stopped."""
        watcher.check()
        model = self._model_of(unit)
        with threads(unit.threads):
            if isinstance(unit, ModelUnit):
                return _told(model)
            if isinstance(unit, SearchUnit):
                return _searched(model, unit, watcher)
            if isinstance(unit, DrawUnit):
                return self._drawn(model, unit, watcher)
            if isinstance(unit, ReceiversUnit):
                return self._measured(model, unit, watcher)
        raise ValueError(f"Expected a unit of a known kind, got {type(unit).__name__}")

    def _model_of(self, unit: Unit) -> Model:
        key = (unit.settings.model, unit.settings.device, unit.settings.dtype)
        if self._model is None or self._model[0] != key:
            self._model = self._draws = self._paths = None  # before the next is loaded: two may not fit
            self._model = (key, self._load(*key))
        model = self._model[1]
        if unit.fingerprint not in (None, model.fingerprint):
            raise HeadlightError(
                f"The weights of {unit.settings.model} here ({model.fingerprint}) are not those the work was begun "
                f"with ({unit.fingerprint}). Put the same model on every machine, or begin anew."
            )
        return model

    def _drawn(self, model: Model, unit: DrawUnit, watcher: Watcher) -> Chunk:
        kept = self._kept_for(model, unit, watcher)
        bench = kept.bench
        began = time.perf_counter()
        draw = draw_again(bench.prepared.prompts, unit.draw, unit.label, unit.seed, unit.left_out)
        with bench.ledger.stage(STAGE):
            refind = bench.refind(draw, watcher)
        flops, kept.told = bench.flops - kept.told, bench.flops
        report = {"seed": bench.report_seed, "n": len(bench.report.prompts)}
        seconds = time.perf_counter() - began
        return Chunk(refind_json(refind) | {"report": report, "flops": flops, "seconds": seconds})

    def _kept_for(self, model: Model, unit: DrawUnit, watcher: Watcher) -> _Kept:
        """The bench of the last draw, if it was one of the same prompts."""
        of = replace(unit, draw=DrawUnit.draw, label="", seed=0, left_out=None)
        if self._draws is None or self._draws.of != of:
            self._draws = self._paths = None  # before the next is made
            prepared = prepare(model, unit.settings, watcher, unit.prompts, memory=unit.memory)
            ledger = Ledger(pass_flops(model, prepared.prompts))
            with ledger.stage(STAGE):
                self._draws = _Kept(of, DrawBench(prepared, prepared.settings, ledger))
        return self._draws


    def _measured(self, model: Model, unit: ReceiversUnit, watcher: Watcher) -> Chunk:
        paths = self._paths_for(model, unit, watcher)
        if isinstance(paths.patching, ScreenedPatching):
            paths.patching = paths.patching.again()  # counts this unit alone
        effects = _effects(paths.patching, unit, model, lambda share: watcher.check())
        rows = paths.ledger.rows()
        cost, paths.told = cost_list(rows, paths.told), rows
        screening = paths.patching.screening if isinstance(paths.patching, ScreenedPatching) else None
        return Chunk(
            {"cost": cost, "screening": screening_list(screening)},
            {"f": torch.stack([e.f for e in effects]), "estimated": torch.stack([e.estimated for e in effects])},
        )

    def _paths_for(self, model: Model, unit: ReceiversUnit, watcher: Watcher) -> _Paths:
        """Those of the last unit, if it was one of the same search."""
        of = replace(unit, asked=())
        if self._paths is None or self._paths.of != of:
            self._paths = self._draws = None  # before the next is made
            prepared = prepare(model, unit.settings, watcher, unit.prompts, memory=unit.memory)
            ledger = Ledger(pass_flops(model, prepared.prompts))
            nodes = parse_nodes(unit.senders, model.n_layers, model.n_heads)
            keep = node_mask(nodes, model.n_layers, model.n_heads)
            keep = keep if unit.settings.mlps else keep[:, :-1]
            self._paths = _Paths(of, patching_of(prepared, keep, unit.settings, ledger), ledger)
        return self._paths


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch computes with ``count`` threads within this."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _effects(patching: Patching, unit: ReceiversUnit, model: Model, tick: Tick) -> list[Effects]:
    receivers = [Receiver.parse(asked.receiver, model.n_layers, model.n_heads) for asked in unit.asked]
    rules = {
        receiver: tuple(Thresholds(*rule) for rule in asked.rules)
        for receiver, asked in zip(receivers, unit.asked, strict=True)
    }
    if isinstance(patching, ScreenedPatching) and not any(rules.values()):
        return patching.estimates(receivers, Deciding(lambda receiver: (0, ())), tick)
    top = 0.0 if isinstance(patching, ReferencePatching) else patching.depth(receivers)
    return patching.measure(receivers, Deciding(lambda receiver: (top, rules[receiver])), tick)


def _told(model: Model) -> Chunk:
    return Chunk({"fingerprint": model.fingerprint, "n_layers": model.n_layers, "n_heads": model.n_heads})


def _searched(model: Model, unit: SearchUnit, watcher: Watcher) -> Chunk:
    """The run's record; part of a run is no result."""
    forget_check(model)
    prepared = prepare(model, unit.settings, watcher, unit.prompts)
    found = discover(model, prepared.settings, watcher, prepared)
    if not found.complete:
        raise Cancelled
    return Chunk(discovery_json(model, found))


@cache
def process_bench() -> Bench:
    """The one of a worker's process."""
    return Bench()
