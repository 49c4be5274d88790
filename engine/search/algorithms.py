"""Which search a run does, and those that are not path patching's walk.

1. path_patching    the walk of engine/search/path_patching.py; the pipeline does it itself
2. acdc             engine/search/acdc.py
3. eap, eap_ig      engine/search/eap.py

All of them search the same nodes and end in the same ``SearchResult``.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.activations import Activations
from engine.cost.ledger import Ledger
from engine.errors import HeadlightError
from engine.heads import Head
from engine.machine.memory import MemoryPlan
from engine.models.model import Model
from engine.notes.notes import Notes
from engine.patching.screening import Screening
from engine.progress import Watcher
from engine.search.acdc import acdc
from engine.search.eap import INTERPOLATIONS, eap
from engine.search.path_patching import SearchResult
from engine.settings import ATTRIBUTING, Algorithm, Settings


def points_of(algorithm: Algorithm) -> int:
    """Runs that the gradients of EAP are averaged over."""
    return INTERPOLATIONS if algorithm is Algorithm.EAP_IG else 1


def serves(model: Model, algorithm: Algorithm) -> bool:
    """Whether this model can be searched so: EAP needs gradients, which only a model of known parts has."""
    return model.fast or algorithm not in ATTRIBUTING


def check_algorithm(model: Model, algorithm: Algorithm) -> None:
    """Raises HeadlightError where the model cannot be searched so."""
    if not serves(model, algorithm):
        raise HeadlightError(
            f"{algorithm.value} needs gradients, and {model.name} has none: the parts of this "
            f"{model.config.model_type} model are not known to the fast path. Choose path_patching or acdc, which run "
            "through hooks, or another model."
        )


def search_by(
    model: Model,
    activations: Activations,
    senders: Sequence[Head],
    settings: Settings,
    ledger: Ledger,
    memory: MemoryPlan,
    watcher: Watcher,
    notes: Notes | None = None,
) -> tuple[SearchResult, Screening | None]:
    """The search of ``settings.algorithm`` among ``senders``; path patching is not one of these.

    What ``notes`` have of it is not done again.
    """
    if settings.algorithm is Algorithm.ACDC:
        return acdc(
            model, activations, senders, settings.tolerance, settings.mode, ledger, memory, watcher, notes=notes
        )
    if settings.algorithm not in ATTRIBUTING:
        raise ValueError(f"Expected acdc, eap or eap_ig, got {settings.algorithm}")
    check_algorithm(model, settings.algorithm)
    steps = points_of(settings.algorithm)
    return eap(model, activations, senders, settings.top_edges, ledger, memory, watcher, steps, notes), None
