"""What the circuit and the scores are held against: a dense run, answer keys, the circuit itself."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.heads import Head
from engine.prepare import Prepared
from engine.settings import Settings
from engine.trust.agreement import Agreement, with_circuit, with_key
from engine.trust.answer_key_file import check_key
from engine.trust.answer_keys import answer_keys
from pages.shared import search_jobs
from pages.shared.view import KEYS, View
from pages.shared.work import result_of

DENSE, CIRCUIT = "dense", "circuit"


@dataclass(frozen=True, eq=False)
class Reference:
    """``agreement`` is the circuit's with it, None for the circuit itself; ``effects [layer head]`` on the logits."""

    name: str
    title: str
    heads: tuple[Head, ...]
    effects: Tensor | None
    agreement: Agreement | None


@dataclass(frozen=True, eq=False)
class References:
    """By name, in the order shown; ``problems`` say which keys could not be used."""

    known: dict[str, Reference]
    problems: tuple[str, ...]

    def chosen(self, view: View) -> Reference:
        """As in the view, or else the first; the circuit itself is always there."""
        return self.known.get(view.reference, next(iter(self.known.values())))


def references(
    prepared: Prepared, settings: Settings, circuit: Circuit, found: Discovery | None, view: View
) -> References:
    """All there are for this model and task."""
    known: dict[str, Reference] = {}
    dense = dense_run(settings, found)
    if dense is not None:
        title = "dense path patching"
        agreement = with_circuit(circuit, dense.circuit, title)
        known[DENSE] = Reference(DENSE, title, dense.circuit.heads, _effects(dense), agreement)
    problems = []
    for name, key in zip(KEYS, answer_keys(settings.model, settings.task), strict=False):
        try:
            check_key(key, prepared.model.n_layers, prepared.model.n_heads)
        except HeadlightError as error:
            problems.append(str(error))
            continue
        if name != view.subject:
            known[name] = Reference(name, key.title, key.heads, None, with_key(circuit, key))
    effects = None if found is None else _effects(found)
    known[CIRCUIT] = Reference(CIRCUIT, "this circuit", circuit.heads, effects, None)
    return References(known, tuple(problems))


def standard_of(settings: Settings, found: Discovery | None) -> Settings | None:
    """The dense run to hold the circuit against; None if it is that run."""
    own = settings if found is None else found.settings
    standard = own.standard()
    return None if found is not None and standard == own else standard


def dense_run(settings: Settings, found: Discovery | None) -> Discovery | None:
    """The dense run of the same settings, if there has been one."""
    standard = standard_of(settings, found)
    dense: Discovery | None = None if standard is None else result_of(search_jobs.search_job(standard))
    return dense if dense is not None and dense.complete else None


def _effects(found: Discovery) -> Tensor | None:
    """Of heads on the logits, NaN where not measured."""
    return found.steps[0].effects if found.steps else None
