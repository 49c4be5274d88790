"""A run from a file of either kind."""

import json

import pytest

from engine.capsule.opening import open_run
from engine.capsule.writing import capsule_bytes
from engine.errors import HeadlightError


def test_a_capsule_and_a_record_are_the_same_run(toy_record):
    names = {"names": {"1.2": "mover"}, "roles": {"0.1": "previous token"}}
    capsule = open_run(capsule_bytes(toy_record, labels=names))
    plain = open_run(json.dumps(toy_record | names).encode())
    assert capsule.labels == plain.labels == names and capsule.run.circuit == plain.run.circuit
    assert plain.manifest == {} and capsule.manifest["fingerprint"] == plain.fingerprint
    assert capsule.found.settings == plain.found.settings


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"{}", b"[]", b'{"schema": "headlight/1"}', b"\x89PNG", b"\x00" * 1000]
)
def test_anything_else_is_refused(content):
    with pytest.raises(HeadlightError):
        open_run(content)


def test_names_that_are_none_are_refused(toy_record):
    with pytest.raises(HeadlightError, match="labels"):
        open_run(json.dumps(toy_record | {"names": {"1.2": 7}}).encode())
