"""Reads back what engine/record/writing.py wrote, as far as the command line goes on with it: settings, circuit, names.

engine/record/circuit_file.py and engine/record/run_file.py read files that anybody may have made, for the app.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import HeadlightError
from engine.nodes import Node, check_node, parse_node
from engine.record.circuit_file import read_record
from engine.record.json_values import Json
from engine.record.reader import MOST_COUNT, MOST_NAME, Reader
from engine.record.settings_reading import read_settings
from engine.settings import Settings
from engine.tasks.prompts import Metric


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
    record = Reader(read_record(content), "the file")
    try:
        circuit, settings = record.part("circuit"), record.part("settings")
        _check_taken_over(settings)
        heads = circuit.texts("heads", MOST_NAME)
        mlps = circuit.texts("mlps", MOST_NAME) if "mlps" in circuit else ()
        as_nodes = mlps if settings.value.get("mlps") else None
        return SavedCircuit(record.text("model"), record.text("task"), dict(settings.value), heads, as_nodes)
    except HeadlightError as error:
        raise HeadlightError(f"{path} holds no circuit that can be used: {error}") from error


def _check_taken_over(settings: Reader) -> None:
    """The settings that other commands take over as they are."""
    for name in ("pairs", "seed"):
        if name in settings:
            settings.whole(name, 0, MOST_COUNT)
    if "metric" in settings:
        settings.choice("metric", Metric)
    if "prepend_bos" in settings:
        settings.flag("prepend_bos")


def settings_of(saved: SavedCircuit) -> Settings:
    """The settings a run was made with; raises HeadlightError for those this version does not know."""
    try:
        return read_settings(Reader(saved.settings, "settings"))
    except HeadlightError as error:
        raise HeadlightError(f"The run has settings that cannot be used ({error}). Make the run again.") from error


def parse_nodes(names: Sequence[str], n_layers: int, n_heads: int) -> tuple[Node, ...]:
    """Heads and MLPs by name, each once, in order; raises HeadlightError for one the model lacks."""
    return tuple(sorted({check_node(parse_node(name), n_layers, n_heads) for name in names}))
