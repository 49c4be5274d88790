"""A run as a record: strict JSON that reads back."""

import json

import pytest

from engine.errors import HeadlightError
from engine.pipeline import discover
from engine.progress import Watcher
from engine.record import writing as record
from engine.record.circuit_file import parse_circuit
from engine.record.saved_run import read_saved_circuit
from engine.settings import Settings


def test_the_record_is_strict_json_and_its_circuit_reads_back(toy_model, tmp_path):
    settings = Settings(model="toy-induction", task="induction-random", pairs=8, seed=0)
    found = discover(toy_model, settings, Watcher())
    path = tmp_path / "run.json"
    record.write_json(record.discovery_json(toy_model, found), path)
    saved = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda text: pytest.fail(text))
    assert saved["schema"] == "headlight/1"
    assert parse_circuit(saved["circuit"], 2, toy_model.n_heads) == found.circuit
    assert read_saved_circuit(path).heads == tuple(str(head) for head in found.circuit.heads)
    assert len(saved["prompts"]["clean_tokens"]) == 8
    assert [value is None for row in saved["effects"] for value in row].count(False) == int(found.keep.sum())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[]", "schema"),
        ('{"schema": "headlight/9"}', "schema"),
        ('{"schema": "headlight/1"}', "no circuit"),
    ],
)
def test_files_that_are_no_runs_are_refused(tmp_path, text, says):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HeadlightError, match=says):
        read_saved_circuit(path)
