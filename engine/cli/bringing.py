"""A circuit given by --circuit, from whatever file it comes, and what is said about it."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli.common import load
from engine.cli.console import Console
from engine.errors import HeadlightError
from engine.interchange.plain_graph import UnknownShape
from engine.interchange.reading import heads_alone, read_any
from engine.models.registry import find_card
from engine.record.circuit_file import CircuitFile
from engine.record.saved_run import SavedCircuit
from engine.settings import Settings
from engine.tasks.custom import CUSTOM


def content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HeadlightError(f"Cannot read {path}: {error.strerror}. Give a file that is there.") from error


def brought_circuit(options: argparse.Namespace, console: Console) -> CircuitFile:
    """The circuit of --circuit; a graph that does not say its shape takes that of --model."""
    data, name = content_of(options.circuit), str(options.circuit)
    try:
        file = read_any(data, name, strongest=options.strongest)
    except UnknownShape:
        if options.model is None:
            raise
        file = read_any(data, name, _shape_of(options.model, console), options.strongest)
    return as_asked(file, options, console)


def as_asked(file: CircuitFile, options: argparse.Namespace, console: Console) -> CircuitFile:
    """Without its MLPs if that was asked for; its notes are announced."""
    file = heads_alone(file) if options.heads_only else file
    for note in file.notes:
        console.announce(f"note: {note}")
    return file


def saved_circuit(options: argparse.Namespace, file: CircuitFile) -> SavedCircuit:
    """What commands go on with: a run's settings, or what another tool's graph says; what was typed goes first."""
    model, task = options.model or file.model, options.task or file.task
    if model is None or (task is None and options.rows is None):
        raise HeadlightError(
            f"{options.circuit} does not say which model and task it is of. Give them with --model and --task."
        )
    said = {"seed": file.seed} if file.seed is not None else {}
    settings = said if file.settings is None else file.settings
    heads, mlps = (tuple(map(str, nodes)) for nodes in (file.circuit.heads, file.circuit.mlps))
    are_nodes = (mlps or settings.get("mlps")) and not options.heads_only
    return SavedCircuit(model, task or CUSTOM, settings, heads, mlps if are_nodes else None)


def _shape_of(model: str, console: Console) -> tuple[int, int]:
    card = find_card(model)
    if card is not None:
        return card.n_layers, card.n_heads
    loaded = load(Settings(model=model), console)
    return loaded.n_layers, loaded.n_heads
