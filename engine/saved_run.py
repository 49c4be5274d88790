"""Reads back what engine/record.py wrote, as far as the command line goes on with it: settings, circuit, names.

engine/circuit_file.py and engine/run_file.py read files that anybody may have made, for the app.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from engine.circuit_file import read_record
from engine.errors import HeadlightError
from engine.json_values import Json
from engine.nodes import Node, check_node, parse_node
from engine.record_reader import Reader
from engine.settings import Settings
from engine.settings_reading import read_settings


@dataclass(frozen=True)
class SavedCircuit:
    """What ``verify`` needs of a saved run; ``settings`` as they stand in the file."""

    model: str
    task: str
    settings: Json
    heads: tuple[str, ...]
    mlps: tuple[str, ...] | None  # those of a run in which they are nodes


def read_saved_circuit(path: Path) -> SavedCircuit:
    """Read a run written by ``discover``; raises HeadlightError if it is not one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HeadlightError(f"Cannot read {path}: {error.strerror}. Give a file that discover wrote.") from error
    record = read_record(content)
    model, task, circuit, settings = (record.get(name) for name in ("model", "task", "circuit", "settings"))
    if not (isinstance(circuit, dict) and isinstance(settings, dict) and isinstance(model, str)
            and isinstance(task, str)):  # fmt: skip
        raise HeadlightError(f"{path} holds no circuit with its model, task and settings. Give a file discover wrote.")
    heads, mlps = circuit.get("heads"), circuit.get("mlps", []) if settings.get("mlps") else None
    if not _all_texts(heads) or not (mlps is None or _all_texts(mlps)):
        raise HeadlightError(f"{path} holds no circuit: its heads are no list of names. Give a file discover wrote.")
    _check_prompt_settings(settings, path)
    return SavedCircuit(model, task, settings, tuple(heads), None if mlps is None else tuple(mlps))


def _all_texts(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _check_prompt_settings(settings: Json, path: Path) -> None:
    """The settings that other commands take over as they are."""
    for name, kind in (("pairs", int), ("seed", int), ("metric", str), ("prepend_bos", bool)):
        value = settings.get(name)
        if value is not None and type(value) is not kind:
            raise HeadlightError(
                f"{path} has the setting {name} {str(value)[:40]!r}; expected {kind.__name__}. Give a file that "
                "discover wrote."
            )


def settings_of(saved: SavedCircuit) -> Settings:
    """The settings a run was made with; raises HeadlightError for those this version does not know."""
    try:
        return read_settings(Reader(saved.settings, "settings"))
    except HeadlightError as error:
        raise HeadlightError(f"The run has settings that cannot be used ({error}). Make the run again.") from error


def parse_nodes(names: Sequence[str], n_layers: int, n_heads: int) -> tuple[Node, ...]:
    """Heads and MLPs by name, each once, in order; raises HeadlightError for one the model lacks."""
    return tuple(sorted({check_node(parse_node(name), n_layers, n_heads) for name in names}))
