"""A circuit from a file: read once, kept for this browser session, the same on every page that shows circuits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from engine.circuit import Circuit
from engine.errors import HeadlightError
from engine.interchange.reading import read_any
from engine.prepare import Prepared
from engine.record.circuit_file import MAX_BYTES, CircuitFile
from pages.shared import look

IMPORTED = "headlight_imported_circuit"
PROBLEM = "headlight_circuit_file_problem"


@dataclass(frozen=True)
class Imported:
    """A file that was brought, by its name."""

    name: str
    file: CircuitFile


def imported() -> Imported | None:
    return st.session_state.get(IMPORTED)


def uploader(key: str, prepared: Prepared, then: Callable[[], None]) -> None:
    """A place for a file, and what was wrong with the last one; ``then`` is called once one has been read."""
    shape = prepared.model.n_layers, prepared.model.n_heads
    st.file_uploader(
        f"A JSON or GraphML file of at most {MAX_BYTES // 1_000_000} MB", key=key,
        on_change=lambda: _read(key, shape, then), max_upload_size=MAX_BYTES // 1_000_000,
    )  # fmt: skip
    if (problem := st.session_state.get(PROBLEM)) is not None:
        st.error(look.plain(problem), icon=":material/error:")


def remove() -> None:
    for name in (IMPORTED, PROBLEM):
        st.session_state.pop(name, None)


def _read(key: str, shape: tuple[int, int], then: Callable[[], None]) -> None:
    """``shape`` is taken for graphs that do not say how large their model is."""
    upload = st.session_state[key]
    if upload is None:
        st.session_state.pop(PROBLEM, None)
        return
    name = "".join(letter for letter in upload.name if letter.isprintable())[:80]
    try:
        st.session_state[IMPORTED] = Imported(name, read_any(upload.getvalue(), name, shape))
        st.session_state.pop(PROBLEM, None)
        then()
    except HeadlightError as error:  # what was brought before stays
        st.session_state[PROBLEM] = str(error)


def has_heads(prepared: Prepared, circuit: Circuit) -> bool:
    return (circuit.n_layers, circuit.n_heads) == (prepared.model.n_layers, prepared.model.n_heads)


def source(file: CircuitFile) -> str:
    """What a file says it is of, and what of it is not here, in sentences."""
    unknown = file.model is None and file.task is None
    of = f"found on {file.model or 'a model it does not name'} for {_task(file)}"
    return " ".join((f"{'of a model and a task it does not name' if unknown else of}.", *file.notes))


def _task(file: CircuitFile) -> str:
    return "a task it does not name" if file.task is None else f"the task {file.task}"


def misfit(prepared: Prepared, file: CircuitFile) -> str | None:
    """Why the file is not of this page's model and task, in a sentence; None if it is, or does not say."""
    model, settings, circuit = prepared.model, prepared.settings, file.circuit
    if not has_heads(prepared, circuit):
        return (
            f"The file is of {file.model or 'a model'}, {circuit.n_layers} × {circuit.n_heads} heads; this page shows "
            f"{settings.model}, {model.n_layers} × {model.n_heads}. It can be looked at as a graph, not verified."
        )
    if file.model not in (None, settings.model):
        return f"This page shows {settings.model}, which has as many heads but is another model."
    if file.task not in (None, settings.task):
        return f"This page shows the task {settings.task}."
    return None


def fresh_seed(settings_seed: int, file: CircuitFile) -> int:
    """Of prompts that it was not found on."""
    return max(settings_seed, file.seed or 0) + 1
