"""Any file is told by what is in it; a file of a whole run too."""

from __future__ import annotations

import json

import pytest

from engine.errors import HeadlightError
from engine.interchange.graphml import write_graphml
from engine.interchange.mib import write_mib
from engine.interchange.node_link import write_node_link
from engine.interchange.reading import heads_alone, read_any
from engine.record.circuit_file import circuit_record
from engine.settings import Settings
from tests.engine.interchange.made_up import BY_HAND, WITH_MLPS


@pytest.mark.parametrize("write", [write_mib, write_graphml, write_node_link])
@pytest.mark.parametrize("before", ["", "\ufeff", " \n"])
def test_each_format_is_told_by_its_content(write, before: str):
    text = write(BY_HAND).removeprefix('<?xml version="1.0" encoding="UTF-8"?>')
    assert read_any((before + text).encode()) == BY_HAND


def test_a_circuit_of_our_own_too():
    record = circuit_record(Settings(model="m", task="t", seed=3), BY_HAND.circuit, BY_HAND.names, BY_HAND.roles)
    file = read_any(json.dumps(record).encode())
    assert (file.circuit, file.names, file.seed, file.d_model) == (BY_HAND.circuit, BY_HAND.names, 3, None)
    record["model_shape"] |= {"d_model": 48, "parallel_mlps": True}
    file = read_any(json.dumps(record).encode())
    assert (file.d_model, file.parallel_mlps) == (48, True)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{}", "Expected a file with schema headlight/1; this one has none"),
        (b'{"schema": "headlight/9"}', "headlight/9"),
        (b'{"schema": "headlight/1", "schema": "headlight/1"}', "'schema' twice"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x80\x02}q\x00.", "not a text file"),
        (b"", "not JSON"),
        (b"<", "not XML"),
        (b'{"cfg": {}, "edges": ' + b"[" * 5000, "too deep"),
    ],
)
def test_anything_else_is_refused_with_the_name_of_the_file(data: bytes, words: str):
    with pytest.raises(HeadlightError) as error:
        read_any(data, "mine.json")
    assert str(error.value).startswith("mine.json: ") and words in str(error.value)


def test_heads_alone_leave_mlps_out_and_say_so():
    file = heads_alone(WITH_MLPS)
    assert file.circuit.heads == WITH_MLPS.circuit.heads and file.circuit.mlps == ()
    assert [str(edge.sender) for edge in file.circuit.edges] == ["2.0"]
    assert file.notes[0].startswith("Left out: MLPs as nodes (2) and their edges (4). All MLPs are live instead")
    assert heads_alone(BY_HAND) is BY_HAND
