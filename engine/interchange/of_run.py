"""A circuit found here, with all that its files say of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from engine.circuit import Circuit
from engine.heads import Head
from engine.models.model import Model
from engine.record.circuit_file import CircuitFile
from engine.settings import Settings

NO_TEXTS: Mapping[Head, str] = {}


def file_of_run(
    model: Model,
    settings: Settings,
    circuit: Circuit,
    names: Mapping[Head, str] = NO_TEXTS,
    roles: Mapping[Head, str] = NO_TEXTS,
) -> CircuitFile:
    """``circuit`` as found in ``model`` by ``settings``; ``names`` and ``roles`` of heads."""
    return CircuitFile(
        model=settings.model,
        task=settings.task,
        seed=settings.seed,
        circuit=circuit,
        names=names,
        roles=roles,
        d_model=model.d_model,
        parallel_mlps=model.parallel_mlps,
        settings=asdict(settings),
    )
