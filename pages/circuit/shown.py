"""The circuit this page shows: what the search found, or a file that was brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from engine.circuit import Circuit
from engine.circuit_file import CircuitFile
from engine.errors import HeadlightError
from engine.heads import Head
from engine.pipeline import Discovery
from engine.prepare import Prepared
from engine.settings import Settings
from pages.shared import look, search_run
from pages.shared.view import View

IMPORTED = "headlight_imported_circuit"
SOURCE = "headlight_circuit_source"
SOURCES = ("The circuit found here", "The file")


@dataclass(frozen=True)
class Imported:
    """A file that was brought, by its name."""

    name: str
    file: CircuitFile


@dataclass(frozen=True, eq=False)
class Shown:
    """``found`` is the run, if the circuit is of one of this page's; ``file`` if it was imported."""

    circuit: Circuit
    found: Discovery | None
    file: CircuitFile | None
    fits: bool  # the model of this page has these heads

    def names(self, view: View) -> dict[Head, str]:
        """The reader's names, over those of the file."""
        own = dict(_named(text) for text in view.names)
        return {**(self.file.names if self.file is not None else {}), **own}


def imported() -> Imported | None:
    return st.session_state.get(IMPORTED)


def choose(prepared: Prepared, settings: Settings) -> Shown | None:
    """The circuit to show, or None: then what there is to do about that has been drawn."""
    brought = imported()
    if brought is not None:
        st.session_state.setdefault(SOURCE, SOURCES[1])
        chosen = st.segmented_control("Show", SOURCES, key=SOURCE, required=True, label_visibility="collapsed")
        if chosen == SOURCES[1]:
            return _of_file(prepared, brought.name, brought.file)
    found = search_run.show(settings)
    return None if found is None else Shown(found.circuit, found, None, fits=True)


def _of_file(prepared: Prepared, name: str, file: CircuitFile) -> Shown:
    problem = misfit(prepared, file)
    look.verdict(
        f"{name}:",
        f"{look.count(len(file.circuit.heads), 'head')} and {look.count(len(file.circuit.edges), 'edge')}, found on "
        f"{file.model} for the task {file.task}. {problem or ''}",
        "yes" if problem is None else "wait",
    )
    return Shown(file.circuit, None, file, fits=has_heads(prepared, file.circuit))


def has_heads(prepared: Prepared, circuit: Circuit) -> bool:
    return (circuit.n_layers, circuit.n_heads) == (prepared.model.n_layers, prepared.model.n_heads)


def misfit(prepared: Prepared, file: CircuitFile) -> str | None:
    """Why the file is not of this page's model and task, in a sentence; None if it is."""
    model, settings, circuit = prepared.model, prepared.settings, file.circuit
    if not has_heads(prepared, circuit):
        return (
            f"The file is of {file.model}, {circuit.n_layers} × {circuit.n_heads} heads; this page shows "
            f"{settings.model}, {model.n_layers} × {model.n_heads}. It can be looked at as a graph, not verified."
        )
    if file.model != settings.model:
        return f"This page shows {settings.model}, which has as many heads but is another model."
    if file.task != settings.task:
        return f"This page shows the task {settings.task}."
    return None


def _named(text: str) -> tuple[Head, str]:
    head, _, name = text.partition("~")
    return Head.parse(head), name


def written(names: Mapping[Head, str]) -> tuple[str, ...]:
    """As in the view."""
    return tuple(f"{head}~{name}" for head, name in sorted(names.items()))


def parse_or_none(name: str | None) -> Head | None:
    try:
        return Head.parse(name) if name else None
    except HeadlightError:
        return None
