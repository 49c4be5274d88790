"""Every entrance through which something comes that Headlight did not make, with inputs that are nearly right.

An input that is accepted is taken as far as the program would take it: rows become a task, a circuit is written out
again, a view makes a link that gives the same view.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz import inputs, mutations
from benchmarks.fuzz.command_line import command_line, run_command_line
from benchmarks.fuzz.loop import Target
from benchmarks.fuzz.stores import damage, run_store
from engine.capsule.reading import read_capsule
from engine.errors import HeadlightError
from engine.interchange.reading import read_any
from engine.models.gguf_header import read_header
from engine.models.integrity import check_safetensors, is_intact
from engine.models.preflight import check_tokenizer, check_weights, read_config
from engine.models.sources import TOY_FOLDER, resolve
from engine.record.circuit_file import circuit_record, read_circuit
from engine.record.reading import discovery_of, origin_of
from engine.record.run_file import read_run
from engine.record.saved_run import read_saved_circuit, settings_of
from engine.record.writing import discovery_json
from engine.sweep.spec import read_spec, spec_json, spec_of
from engine.tasks.custom import check_table
from engine.tasks.own import own_task
from engine.tasks.table import read_table, table_of
from engine.trust.answer_key_file import key_record, read_key
from pages.shared.link import read_view, write_view
from pages.shared.link_readers import READERS

Draw = Callable[[Random], Any]


def targets() -> list[Target]:
    """All of them, by name."""
    found = [
        Target("rows of a task", _table, _read_table),
        Target("rows of a task as records", _rows, _read_rows),
        Target("circuit files", _json_of(inputs.circuit), _read_circuit),
        Target("run files", _json_of(inputs.record), _read_run),
        Target("saved runs", _json_of(inputs.record), _read_saved),
        Target("whole records", _tree_of(inputs.record), _read_record),
        Target("answer keys", _json_of(inputs.key), _read_key),
        Target("capsules", _bytes_of(inputs.capsule), _read_capsule),
        Target("capsules with true hashes", _sealed, _read_capsule),
        Target("links", _link, _read_link),
        Target("model names", mutations.text, _resolve),
        Target("GGUF headers", _bytes_of(inputs.gguf), _read_gguf),
        Target("safetensors headers", _bytes_of(inputs.safetensors), _read_safetensors),
        Target("model folders", _model_folder, _check_folder),
        Target("graphs of other programs", _graph, _read_graph),
        Target("sweeps", _sweep, _read_sweep),
        Target("command lines", command_line, run_command_line),
        Target("stores", damage, run_store),
    ]
    return sorted(found, key=lambda target: target.name)


def _table(rng: Random) -> bytes:
    start = rng.choice((inputs.csv, inputs.jsonl))()
    if rng.random() < 0.3:
        row = {name: mutations.anything(rng) for name in ("clean", "corrupted", "answer", "distractor", "template")}
        start += b"\n" + mutations.json_bytes(rng, row)
    return mutations.mutated_bytes(rng, start)


def _read_table(content: bytes, folder: Path) -> None:
    table = read_table(content)
    if not table.problems:
        task = own_task(table.rows)
        check_table(table, inputs.toy().tokenizer, inputs.toy().max_positions)
        assert own_task(task.rows).name == task.name
    assert all(problem.reason and problem.repair for problem in table.problems)


def _rows(rng: Random) -> Any:
    row = {"clean": "a b c d", "corrupted": "a b e d", "answer": "x", "distractor": "y|z", "template": "t"}
    changed = mutations.mutated_json(rng, [row] * 3)
    return [value for value in changed if isinstance(value, dict)] if isinstance(changed, list) else []


def _read_rows(rows: Any, folder: Path) -> None:
    table_of(rows)


def _json_of(start: Callable[[], Any]) -> Draw:
    """Bytes: the tree changed, or its text."""

    def draw(rng: Random) -> bytes:
        if rng.random() < 0.3:
            return mutations.mutated_bytes(rng, json.dumps(start()).encode())
        return mutations.json_bytes(rng, mutations.mutated_json(rng, start()))

    return draw


def _bytes_of(start: Callable[[], bytes]) -> Draw:
    return lambda rng: mutations.mutated_bytes(rng, start())


def _tree_of(start: Callable[[], Any]) -> Draw:
    return lambda rng: mutations.mutated_json(rng, start())


def _read_circuit(content: bytes, folder: Path) -> None:
    file = read_circuit(content)
    again = circuit_record(inputs.SETTINGS, file.circuit, file.names, file.roles)
    assert read_circuit(json.dumps(again).encode()).circuit == file.circuit


def _read_run(content: bytes, folder: Path) -> None:
    read_run(content)


def _read_saved(content: bytes, folder: Path) -> None:
    path = folder / "run.json"
    path.write_bytes(content)
    settings_of(read_saved_circuit(path))


def _read_record(record: Any, folder: Path) -> None:
    found, origin = discovery_of(record), origin_of(record)
    json.dumps(discovery_json(origin, found), allow_nan=False)


def _read_key(content: bytes, folder: Path) -> None:
    key = read_key(content)
    assert read_key(json.dumps(key_record(key)).encode()).roles == key.roles


def _read_capsule(content: bytes, folder: Path) -> None:
    read_capsule(content)


def _sealed(rng: Random) -> bytes:
    """A capsule whose members were changed by somebody who knows how to write one."""
    members, manifest = inputs.members()
    changed = dict(members)
    for name in rng.sample(list(members), rng.randint(1, 2)):
        if name.endswith(".json") and rng.random() < 0.8:
            changed[name] = mutations.json_bytes(rng, mutations.mutated_json(rng, json.loads(members[name])))
        else:
            changed[name] = mutations.mutated_bytes(rng, members[name])
    if rng.random() < 0.2:
        manifest = mutations.mutated_json(rng, manifest)
        manifest = manifest if isinstance(manifest, dict) else {}
    return inputs.sealed(changed, manifest)


def _graph(rng: Random) -> bytes:
    start = rng.choice(inputs.graphs())
    if start.startswith(b"{") and rng.random() < 0.7:
        return mutations.json_bytes(rng, mutations.mutated_json(rng, json.loads(start)))
    return mutations.mutated_bytes(rng, start)


def _read_graph(content: bytes, folder: Path) -> None:
    read_any(content)


def _sweep(rng: Random) -> str:
    if rng.random() < 0.5:
        return mutations.mutated_bytes(rng, inputs.SWEEP.encode()).decode("utf-8", "replace")
    return json.dumps(mutations.mutated_json(rng, spec_json(read_spec(inputs.SWEEP))))  # JSON is YAML too


def _read_sweep(text: str, folder: Path) -> None:
    assert spec_of(spec_json(spec := read_spec(text))) == spec


def _link(rng: Random) -> dict[str, str]:
    names = rng.sample([*READERS, "other"], rng.randint(1, 8))
    return {name: mutations.text(rng) if rng.random() < 0.7 else _nearly(rng) for name in names}


def _nearly(rng: Random) -> str:
    start = rng.choice((b"9.6~mover,3.1~x", b"5.5-9.6.q", b"3-9", b"q,k,v", b"0.75", b"16"))
    return mutations.mutated_bytes(rng, start).decode("utf-8", "replace")


def _read_link(params: dict[str, str], folder: Path) -> None:
    known = {"task": ("ioi", "induction-random")}
    view, problems = read_view(params, known)
    again, more = read_view(write_view(view), known)
    assert again == view and not more, f"{view} became {again}: {more}"
    assert len(problems) <= len(params)


def _resolve(name: str, folder: Path) -> None:
    resolve(name)


def _read_gguf(content: bytes, folder: Path) -> None:
    path = folder / "model.gguf"
    path.write_bytes(content)
    read_header(path)


def _read_safetensors(content: bytes, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    check_safetensors(path)


def _model_folder(rng: Random) -> dict[str, bytes]:
    """Files of a model's folder, some of them damaged."""
    whole = {
        "config.json": inputs.model_config(),
        "tokenizer.json": (TOY_FOLDER / "tokenizer.json").read_bytes(),
        "model.safetensors": inputs.safetensors(),
        "model.safetensors.index.json": b'{"weight_map": {"a": "model.safetensors", "b": "model.safetensors"}}',
        "headlight.json": b'{"files": {"model.safetensors": {"bytes": 1, "sha256": ""}}}',
    }
    damaged = rng.sample(list(whole), rng.randint(1, 2))
    files = {}
    for name, content in whole.items():
        if name not in damaged:
            files[name] = content
        elif rng.random() < 0.9:
            as_json = name != "model.safetensors" and rng.random() < 0.7
            files[name] = (
                mutations.json_bytes(rng, mutations.mutated_json(rng, json.loads(content)))
                if as_json
                else mutations.mutated_bytes(rng, content)
            )
    return files


def _check_folder(files: dict[str, bytes], folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    is_intact(folder)
    for check in (read_config, check_tokenizer, check_weights):
        try:
            check(folder, "fuzzed")
        except HeadlightError:
            continue
