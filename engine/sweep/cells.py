"""A sweep's runs in a fixed order: models, then tasks, methods, seeds; after each run its resamples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.executor.units import DrawUnit, ModelUnit, SearchUnit, Unit
from engine.settings import Settings
from engine.sweep.spec import SweepSpec
from engine.trust.draws import Kind


@dataclass(frozen=True)
class Cell:
    """One run: where it stands in the sweep. ``resample`` from 1 on; None for the run itself."""

    model: str
    task: str
    method: str
    seed: int
    resample: int | None
    unit: Unit

    def on(self, fingerprint: str) -> Cell:
        """With the model that its name means."""
        return replace(self, unit=replace(self.unit, fingerprint=fingerprint))


def cells_of(spec: SweepSpec) -> list[Cell]:
    """All of them; which model a name means is not known yet."""
    cells = []
    for model in spec.models:
        for task in spec.tasks:
            for method in spec.methods:
                for seed in spec.seeds:
                    settings = spec.settings(model, task, method, seed)
                    units = (SearchUnit(settings, spec.threads), *_resamples(settings, spec))
                    cells += [
                        Cell(model, task, method.name, seed, number or None, unit) for number, unit in enumerate(units)
                    ]
    return cells


def model_units(spec: SweepSpec) -> list[ModelUnit]:
    """What tells which model each name means, in order."""
    usual = Settings(device=spec.device, dtype=spec.dtype)
    return [ModelUnit(replace(usual, model=model), spec.threads) for model in spec.models]


def _resamples(settings: Settings, spec: SweepSpec) -> Iterator[DrawUnit]:
    """As engine/trust/draws.py draws them."""
    for index in range(spec.resamples):
        label = f"{Kind.RESAMPLE.value} {index + 1}"
        yield DrawUnit(settings, spec.threads, draw=Kind.RESAMPLE, label=label, seed=settings.seed + index)
