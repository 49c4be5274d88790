"""The circuit this page shows: what the search found, or a file that was brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.heads import Head
from engine.prepare import Prepared
from engine.record.circuit_file import CircuitFile
from engine.settings import Settings
from pages.shared import look, search_run
from pages.shared.brought import has_heads, imported, misfit, source
from pages.shared.view import View

SOURCE = "headlight_circuit_source"
SOURCES = ("The circuit found here", "The file")


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
        f"{search_run.size_words(file.circuit)}, {source(file)} {problem or ''}",
        "yes" if problem is None else "wait",
    )
    return Shown(file.circuit, None, file, fits=has_heads(prepared, file.circuit))


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
