"""Reads back what engine/record.py wrote, as far as the command line goes on with it: settings, circuit, names.

engine/circuit_file.py and engine/run_file.py read files that anybody may have made, for the app.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import HeadlightError
from engine.json_values import Json
from engine.nodes import Node, check_node, parse_node
from engine.record import SCHEMA
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
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HeadlightError(f"Cannot read {path}: {error.strerror}. Give a file that discover wrote.") from error
    except ValueError as error:
        raise HeadlightError(f"{path} is not JSON ({error}). Give a file that discover wrote.") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        raise HeadlightError(f"Expected a file with schema {SCHEMA}, got {found!r} in {path}.")
    try:
        heads = tuple(str(head) for head in record["circuit"]["heads"])
        settings = dict(record["settings"])
        mlps = tuple(str(mlp) for mlp in record["circuit"].get("mlps", ())) if settings.get("mlps") else None
        return SavedCircuit(record["model"], record["task"], settings, heads, mlps)
    except (KeyError, TypeError) as error:
        raise HeadlightError(f"{path} holds no circuit: {error}. Give a file that discover wrote.") from error


def settings_of(saved: SavedCircuit) -> Settings:
    """The settings a run was made with; raises HeadlightError for those this version does not know."""
    return settings_in(saved.settings)


def settings_in(values: Json) -> Settings:
    """Settings from their JSON; raises HeadlightError for those this version does not know."""
    try:
        return read_settings(Reader(values, "settings"))
    except HeadlightError as error:
        raise HeadlightError(f"The run has settings that cannot be used ({error}). Make the run again.") from error


def parse_nodes(names: Sequence[str], n_layers: int, n_heads: int) -> tuple[Node, ...]:
    """Heads and MLPs by name, each once, in order; raises HeadlightError for one the model lacks."""
    return tuple(sorted({check_node(parse_node(name), n_layers, n_heads) for name in names}))
