"""A run as one file: it comes back exactly, the same bytes every time, small, and without any model code."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from engine.capsule.capsule import MAX_TOTAL
from engine.capsule.reading import read_capsule
from engine.capsule.writing import capsule_bytes, write_capsule
from engine.errors import HeadlightError
from tests.engine.capsule.made_up import large_record

ROOT = Path(__file__).parents[3]
ATTACHMENTS = {"evaluation": {"main": {"faithfulness": [[0.5, 1.0]]}}, "receipts": {"a-1": {}, "b": {"n": 1}}}
LABELS = {"name": "Ein Lauf", "tags": ["a"], "names": {"1.2": "mover"}, "roles": {"0.1": "previous token"}}


def test_everything_comes_back_exactly(toy_record, tmp_path):
    path = tmp_path / "run.headlight"
    write_capsule(toy_record, path, ATTACHMENTS, LABELS, created=86_400.5)
    read = read_capsule(path)
    assert json.dumps(read.record) == json.dumps(toy_record)
    assert read.attachments == ATTACHMENTS and read.labels == LABELS
    assert read.manifest["created"] == "1970-01-02T00:00:00Z" and read.manifest["schema"] == "headlight-capsule/1"
    assert read.fingerprint == toy_record["fingerprint"] == read.manifest["fingerprint"]
    assert [str(head) for head in read.run.circuit.heads] == ["0.1", "1.2"]


def test_the_same_content_at_the_same_time_is_the_same_bytes(toy_record):
    turned = {kind: dict(reversed(named.items())) for kind, named in reversed(ATTACHMENTS.items())}
    first, second = (capsule_bytes(toy_record, given, LABELS, created=0) for given in (ATTACHMENTS, turned))
    assert first == second
    assert capsule_bytes(toy_record, ATTACHMENTS, LABELS, created=1) != first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == ["manifest.json", *sorted(archive.namelist()[1:])]


def test_a_capsule_written_over_another_is_one_of_the_two(toy_record, tmp_path):
    path = tmp_path / "run.headlight"
    write_capsule(toy_record, path, created=0)
    before = path.read_bytes()
    with pytest.raises(HeadlightError):
        write_capsule({"schema": "headlight/1"}, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["../up", "a/b", "", "x" * 65, ".hidden", "ä"])
def test_attachments_that_could_not_be_read_are_not_written(toy_record, name):
    with pytest.raises(HeadlightError, match="no capsule has"):
        capsule_bytes(toy_record, {"evaluation": {name: {}}})


def test_a_record_without_a_fingerprint_is_one_of_an_older_headlight_and_can_be_a_capsule(toy_record):
    old = {name: value for name, value in toy_record.items() if name not in ("fingerprint", "made_with")}
    assert read_capsule(capsule_bytes(old)).fingerprint is None


def test_sizes(toy_record):
    """gpt2: 144 heads, 40 steps, 100 pairs; gpt2-large: 720 heads, with as many steps as its densest circuit takes."""
    small = capsule_bytes(large_record(toy_record, 12, 12, 40, 100))
    assert len(small) < 60_000
    large = capsule_bytes(large_record(toy_record, 36, 20, 600, 100))
    assert len(large) < 1_500_000
    with zipfile.ZipFile(io.BytesIO(large)) as archive:
        assert sum(info.file_size for info in archive.infolist()) < MAX_TOTAL / 5


def test_reading_writing_and_showing_bring_in_no_model_code(toy_record, tmp_path):
    path = tmp_path / "run.headlight"
    write_capsule(toy_record, path)
    code = (
        "import socket, sys; from pathlib import Path\n"
        "socket.socket.connect = None  # nothing may ask a network\n"
        "from engine.capsule.reading import read_capsule\n"
        "from engine.capsule.writing import capsule_bytes\n"
        "read = read_capsule(Path(sys.argv[1]))\n"
        "capsule_bytes(read.record)\n"
        "heavy = {name.split('.')[0] for name in sys.modules} & {'transformers', 'transformer_lens', 'accelerate'}\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
