"""Reads back what engine/record.py wrote, as far as the command line goes on with it: settings, circuit, names.

engine/circuit_file.py and engine/run_file.py read files that anybody may have made, for the app.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from engine.circuit import LOGITS_NODE, Circuit, Edge, Input
from engine.errors import HeadlightError
from engine.heads import Head, check_head
from engine.json_values import Json
from engine.nodes import Node, check_node, mlps_among, parse_node
from engine.record import SCHEMA
from engine.settings import Settings


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
    kinds = get_type_hints(Settings)
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise HeadlightError(f"The run has a setting {unknown[0]!r} that is not known here. Make the run again.")
    try:
        return Settings(**{name: _typed(value, kinds[name]) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise HeadlightError(f"The run has settings that cannot be used ({error}). Make the run again.") from error


def _typed(value: Any, kind: Any) -> Any:
    """``value`` as the named choice its setting takes, if it takes one."""
    choices = [each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, StrEnum)]
    return choices[0](value) if choices and value is not None else value


def parse_heads(names: Sequence[str], n_layers: int, n_heads: int) -> tuple[Head, ...]:
    """Heads by name, each once, in layer order; raises HeadlightError for one the model lacks."""
    return tuple(sorted({check_head(Head.parse(name), n_layers, n_heads) for name in names}))


def parse_nodes(names: Sequence[str], n_layers: int, n_heads: int) -> tuple[Node, ...]:
    """Heads and MLPs by name, each once, in order; raises HeadlightError for one the model lacks."""
    return tuple(sorted({check_node(parse_node(name), n_layers, n_heads) for name in names}))


def parse_circuit(record: Json, n_layers: int, n_heads: int) -> Circuit:
    """The inverse of ``circuit_json``; raises HeadlightError for a head or an MLP the model lacks."""
    edges = []
    for edge in record["edges"]:
        receiver = None if edge["receiver"] == LOGITS_NODE else parse_node(edge["receiver"])
        edges.append(
            Edge(parse_node(edge["sender"]), receiver, Input(edge["input"]), edge["effect"], edge.get("shared", False))
        )
    mlps = mlps_among(parse_nodes(record.get("mlps", ()), n_layers, n_heads))
    return Circuit(parse_heads(record["heads"], n_layers, n_heads), tuple(edges), n_layers, n_heads, mlps)
