"""What the fuzzer starts from: one valid input of every kind, made by the program itself on the toy model."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from safetensors.torch import save

from engine.capsule.writing import capsule_bytes
from engine.heads import Head
from engine.interchange.graphml import write_graphml
from engine.interchange.mib import write_mib
from engine.interchange.node_link import write_node_link
from engine.models.loading import load_model
from engine.models.model import Model
from engine.models.sources import TOY_FOLDER
from engine.pipeline import discover
from engine.progress import Watcher
from engine.record.circuit_file import circuit_record, read_circuit
from engine.record.json_values import dumps
from engine.record.writing import discovery_json
from engine.settings import Settings
from engine.trust.answer_key_file import AnswerKey, key_record

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4)
GGUF_TEXT, GGUF_COUNT = 8, 4  # types of metadata


@cache
def toy() -> Model:
    return load_model("toy-induction")


@cache
def record() -> dict[str, Any]:
    """A whole run, as a file holds it."""
    return json.loads(dumps(discovery_json(toy(), discover(toy(), SETTINGS, Watcher()))))


@cache
def circuit() -> dict[str, Any]:
    found = discover(toy(), SETTINGS, Watcher())
    first = found.circuit.heads[0]
    return json.loads(dumps(circuit_record(SETTINGS, found.circuit, {first: "mover"}, {first: "induction"})))


@cache
def capsule() -> bytes:
    first = record()["circuit"]["heads"][0]
    return capsule_bytes(record(), {"evaluation": {"mean": {"n": 4}}}, {"names": {first: "mover"}, "name": "a run"})


def sealed(members: dict[str, bytes], manifest: dict[str, Any]) -> bytes:
    """A capsule of any members under a manifest that tells their true sizes and hashes."""
    told = {name: {"bytes": len(each), "sha256": hashlib.sha256(each).hexdigest()} for name, each in members.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest | {"members": told}))
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@cache
def members() -> tuple[dict[str, bytes], dict[str, Any]]:
    """Of the capsule, and its manifest."""
    with zipfile.ZipFile(io.BytesIO(capsule())) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    return content, json.loads(content.pop("manifest.json"))


@cache
def key() -> dict[str, Any]:
    return key_record(AnswerKey("gpt2", "ioi", "Mine", "me", {Head(9, 9): "name mover", Head(5, 5): "induction"}))


@cache
def graphs() -> tuple[bytes, ...]:
    """The circuit as other programs write it: MIB's JSON, GraphML, node-link JSON."""
    file = replace(read_circuit(json.dumps(circuit()).encode()), d_model=toy().d_model)
    return tuple(write(file).encode() for write in (write_mib, write_graphml, write_node_link))


SWEEP = """\
name: which score prunes best
models: [toy-induction, gpt2]
tasks: [ioi, induction-random]
methods:
  app: {sparsity: auto}
  walk: {sparsity: 0.7, score: walk}
  dense: {method: dense, mode: exact}
seeds: [0, 1, 2]
pairs: 16
resamples: 5
"""


def csv() -> bytes:
    return (
        "clean,corrupted,answer,distractor,template\n"
        '"The cat, she said",The dog sat on,mat,rug|floor,a\n'
        "a b c d,a b e d,x,y,\n" * 3
    ).encode()


def jsonl() -> bytes:
    row = {"clean": "a b c d", "corrupted": "a b e d", "answer": "x", "distractor": "y|z", "template": "t"}
    return "\n".join(json.dumps(row) for _ in range(3)).encode()


@cache
def safetensors() -> bytes:
    return save({"a": torch.zeros(2, 3), "b": torch.ones(4, dtype=torch.int64)})


@cache
def gguf() -> bytes:
    """A header with a text, a number and an array of texts, and two tensors with their data."""
    pairs = [
        _text("general.architecture") + struct.pack("<I", GGUF_TEXT) + _text("llama"),
        _text("general.alignment") + struct.pack("<II", GGUF_COUNT, 32),
        _text("tokenizer.tokens") + struct.pack("<IIQ", 9, GGUF_TEXT, 3) + b"".join(map(_text, "abc")),
    ]
    tensors = [
        _text(name) + struct.pack("<IQQIQ", 2, 4, 8, 0, offset) for name, offset in (("x", 0), ("y", 128))
    ]
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(pairs)) + b"".join((*pairs, *tensors))
    return header + bytes(-len(header) % 32) + bytes(256)


def model_config() -> bytes:
    return (TOY_FOLDER / "config.json").read_bytes()


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()
