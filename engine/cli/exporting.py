"""export: a circuit, from wherever it comes, as a file of another tool."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from engine.capsule.opening import ZIP, open_run
from engine.cli.bringing import as_asked, content_of
from engine.cli.common import output, write_all
from engine.cli.console import Console
from engine.errors import HeadlightError
from engine.interchange.graphml import write_graphml
from engine.interchange.mib import write_mib
from engine.interchange.node_link import write_node_link
from engine.interchange.reading import read_any
from engine.models.registry import find_card
from engine.record.circuit_file import CircuitFile, circuit_in, file_record
from engine.record.json_values import Json, dumps
from engine.store.store import RunStore


def export(options: argparse.Namespace, console: Console) -> None:
    """The circuit of a file or a kept run, in the format that was asked for."""
    out = output(options)
    file = _completed(as_asked(_source(options), options, console), options)
    write = {"mib": write_mib, "graphml": write_graphml, "node-link": write_node_link, "json": _ours}
    text = write[options.format](file)
    write_all(text if text.endswith("\n") else text + "\n", out)


def _source(options: argparse.Namespace) -> CircuitFile:
    """A file by its path, else a kept run by its id."""
    path = Path(options.run)
    if not path.exists():
        try:
            return circuit_in(RunStore(read_only=True).read(options.run))
        except HeadlightError as error:
            raise HeadlightError(f"{options.run} is no file, and no run is kept by this id. {error}") from error
    content = content_of(path)
    if content.startswith(ZIP):
        capsule = open_run(content)
        return circuit_in(
            capsule.record | {kind: _of_heads(capsule.labels.get(kind, {})) for kind in ("names", "roles")}
        )
    card = find_card(options.model) if options.model else None
    shape = (card.n_layers, card.n_heads) if card is not None else None
    return read_any(content, options.run, shape, options.strongest)


def _of_heads(texts: Json) -> Json:
    """Labels of heads; those of MLPs have no place in a circuit's file."""
    return {name: text for name, text in texts.items() if not name.startswith("m")}


def _completed(file: CircuitFile, options: argparse.Namespace) -> CircuitFile:
    """What the file does not say, as typed, or as is known of a model by its name."""
    model = options.model or file.model
    card = find_card(model) if model else None
    same = card is not None and (card.n_layers, card.n_heads) == (file.circuit.n_layers, file.circuit.n_heads)
    known = card.d_model if card is not None and same else None
    return replace(file, model=model, task=options.task or file.task, d_model=options.d_model or file.d_model or known)


def _ours(file: CircuitFile) -> str:
    return dumps(file_record(file))
