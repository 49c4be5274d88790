"""A circuit comes back as it was written; everything else is refused with a word about what is wrong."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from engine.errors import HeadlightError
from engine.heads import Head
from engine.pipeline import discover
from engine.progress import Watcher
from engine.record.circuit_file import MAX_BYTES, circuit_record, read_circuit
from engine.record.json_values import dumps
from engine.record.saved_run import read_saved_circuit
from engine.record.writing import discovery_json
from engine.settings import Settings
from tests.engine.figures.made_up import A_CIRCUIT, a_large_circuit

SETTINGS = Settings(model="some/model", task="ioi", seed=4)
NAMES = {Head(4, 2): "mover <b>"}
ROLES = {Head(0, 1): "induction, name-mover-like"}
RECORD = json.loads(json.dumps(circuit_record(SETTINGS, A_CIRCUIT, NAMES, ROLES)))


def encoded(record: Any) -> bytes:
    return json.dumps(record).encode()


def changed(**parts: Any) -> bytes:
    return encoded({**copy.deepcopy(RECORD), **parts})


def with_edge(**parts: Any) -> bytes:
    record = copy.deepcopy(RECORD)
    record["circuit"]["edges"][0] |= parts
    return encoded(record)


def test_a_circuit_reads_back_with_names_and_roles():
    file = read_circuit(encoded(RECORD))
    assert file.circuit == A_CIRCUIT
    assert (file.model, file.task, file.seed) == ("some/model", "ioi", 4)
    assert (file.names, file.roles) == (NAMES, ROLES)


def test_a_large_one_too():
    circuit = a_large_circuit(300)
    assert read_circuit(encoded(circuit_record(SETTINGS, circuit, {}, {}))).circuit == circuit


def test_a_whole_run_is_read_as_well_and_a_circuit_serves_the_command_line(toy_model, tmp_path):
    settings = Settings(model="toy-induction", task="induction-random", pairs=4)
    run = discover(toy_model, settings, Watcher())
    file = read_circuit(dumps(discovery_json(toy_model, run)).encode())
    assert (file.circuit, file.model, file.names) == (run.circuit, "toy-induction", {})
    path = tmp_path / "circuit.json"
    path.write_text(json.dumps(circuit_record(settings, run.circuit, {}, {})), encoding="utf-8")
    assert read_saved_circuit(path).heads == ("0.1", "1.2")


def test_a_byte_order_mark_does_no_harm():
    assert read_circuit(b"\xef\xbb\xbf" + encoded(RECORD)).circuit == A_CIRCUIT


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"\xff\xfe\x00{", "not a text file"),
        (b"", "not JSON"),
        (b'{"schema": "headlight/1",', "line 1, column 26"),
        (b"[" * 100_000, "too deep"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "too large"),
        (b" " * (MAX_BYTES + 1), "at most 20"),
        (b"[1, 2]", "schema headlight/1"),
        (changed(schema="headlight/9"), "headlight/9"),
        (changed(circuit=None), "no circuit"),
        (changed(circuit={"edges": []}), "list of heads"),
        (changed(circuit={"heads": ["0.1"], "edges": {}}), "list of edges"),
        (changed(model_shape=None), "model_shape"),
        (changed(model_shape={"n_layers": True, "n_heads": 4}), "model_shape"),
        (changed(model_shape={"n_layers": 10**9, "n_heads": 4}), "model_shape"),
        (changed(model=""), "name of a model"),
        (changed(task=7), "name of a task"),
        (changed(circuit={"heads": ["6.0"], "edges": []}), "layers 0 to 5 and heads 0 to 3"),
        (changed(circuit={"heads": ["<b>"], "edges": []}), "layer.index"),
        (changed(circuit={"heads": ["1" * 5000 + ".0"], "edges": []}), "layer.index"),
        (changed(circuit={"heads": ["0.1"], "edges": ["0.1"]}), "Edge 1"),
        (with_edge(sender="5.0"), "not among the heads"),
        (with_edge(receiver="0.1", input="q"), "higher layer"),
        (with_edge(input="q"), "enters its receiver by 'q'"),
        (with_edge(effect=None), "has the effect None"),
        (with_edge(effect=float("nan")), "has the effect nan"),
        (with_edge(effect=True), "has the effect True"),
    ],
)
def test_what_is_no_circuit_is_refused_and_the_reason_named(data: bytes, words: str):
    with pytest.raises(HeadlightError) as error:
        read_circuit(data)
    message = str(error.value)
    assert words in message and len(message) < 400 and message.isprintable()


def test_names_that_are_no_text_are_left_out_and_long_ones_cut():
    file = read_circuit(changed(names={"4.2": 3, "0.1": "x" * 1000 + "\x00", "5.0": "no head of it", "2.0": "\n"}))
    assert file.names == {Head(0, 1): "x" * 60}
