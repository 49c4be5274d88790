"""Capsules whose record, labels or arrays were made to do harm or damaged: refused, and nothing else is ever raised."""

from __future__ import annotations

import json
import random

import pytest
import torch
from safetensors.torch import load, save

from engine.capsule import arrays_file, json_text
from engine.capsule.reading import read_capsule
from engine.errors import HeadlightError
from tests.engine.capsule.bad import packed, refused


def with_record(members, change) -> bytes:
    record = json.loads(members["run.json"])
    change(record)
    return packed(members | {"run.json": json.dumps(record).encode()})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r.update(schema="headlight/2"), "run was made by a newer Headlight"),
        (lambda r: r.update(schema="x"), "schema headlight/1"),
        (lambda r: r.pop("circuit"), "no circuit"),
        (lambda r: r["circuit"]["heads"].append("99.0"), "names head 99.0"),
        (lambda r: r["baseline"].update(accuracy="all"), "a number"),
        (lambda r: r["baseline"].update(accuracy=10**400), "a number is none, or too large"),
        (lambda r: r.update(fingerprint="<b>"), "16 hex digits"),
        (lambda r: r.update(keep=r["scores"]["flap"]), "matrices do not fit"),  # one array twice: it could multiply
        (lambda r: r["scores"].update(flap={"array": "nowhere"}), "matrices do not fit"),
        (lambda r: r["scores"].update(flap={"array": ["keep"]}), "matrices do not fit"),
        (lambda r: r["model_shape"].update(n_layers=3), "3 rows of 12"),
        (lambda r: r.update(model="\ud800"), "half a character"),
    ],
)  # fmt: skip
def test_records(members, change, says):
    assert says in refused(with_record(members, change))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff", "no UTF-8"),
        (b"{", "not JSON"),
        (b"[1]", "Expected an object"),
        (b'{"a": NaN}', "a number is none, or too large"),
        (b'{"a": 1e999}', "a number is none, or too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too large or too deep values"),
        (b"[" * 100_000, "too deep"),
        (b'{"a": ' + b"[" * 50 + b"]" * 50 + b"}", "more than 40 levels"),
        (b'{"names": {"9.x": "a"}}', "layer.index"),
        (b'{"names": {"1.2": 7}}', "labels have 'names'"),
        (b'{"script": "x"}', "labels have 'script'"),
        (b'{"tags": "x"}', "labels have 'tags'"),
        (b'{"name": "' + b"x" * 201 + b'"}', "labels have 'name'"),
        (b'{"names": {"1.222222222": "a"}}', "no head"),
    ],
)  # fmt: skip
def test_labels_and_their_json(members, content, says):
    assert says in refused(packed(members | {"labels.json": content}))


def test_more_values_than_any_run_has_are_not_parsed(members, monkeypatch):
    monkeypatch.setattr(json_text, "MAX_VALUES", 1000)
    monkeypatch.setattr(json, "loads", lambda text, **kw: pytest.fail("parsed") if len(text) > 5000 else {})
    with pytest.raises(HeadlightError, match="more than 1,000 values"):
        json_text.read_json(b'{"a": [' + b"[]," * 3000 + b"1]}", "The file", "Stop.")


def test_many_members_cannot_have_more_values_together(members):
    """Each of them is small enough, and all of them would take a gigabyte once parsed."""
    many = {f"attachments/edges/n{i}.json": b'{"a": [' + b"[]," * 300_000 + b"1]}" for i in range(4)}
    assert "more than 2,000,000 values" in refused(packed(members | many))


def header(content: bytes) -> dict:
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def safetensors_of(header: dict, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_headers_of_arrays(members):
    content = members["arrays.safetensors"]
    said = header(content)
    data = content[8 + int.from_bytes(content[:8], "little") :]
    name = next(iter(said))

    def with_entry(**changes) -> bytes:
        return packed(members | {"arrays.safetensors": safetensors_of(said | {name: said[name] | changes}, data)})

    begin, end = said[name]["data_offsets"]
    assert "cut off" in refused(packed(members | {"arrays.safetensors": content[:7]}))
    assert "cut off" in refused(packed(members | {"arrays.safetensors": b"\xff" * 8 + content[8:]}))
    assert "overlap" in refused(packed(members | {"arrays.safetensors": content + b"x"}))
    for changes in (
        {"dtype": "F16"}, {"dtype": []}, {"shape": [end - begin]}, {"shape": [-1, -1]}, {"shape": [2, True]},
        {"data_offsets": [begin, end + 8]}, {"data_offsets": "all"}, {"more": 1}, {"shape": [0, 12]},
    ):  # fmt: skip
        assert "says a wrong place" in refused(with_entry(**changes)), changes
    assert "overlap" in refused(with_entry(data_offsets=[begin + 8, end + 8]))
    assert "wrong place" in refused(packed(members | {"arrays.safetensors": safetensors_of([], b"")}))


def test_arrays_with_infinities_or_too_many_numbers(members, monkeypatch):
    arrays = load(members["arrays.safetensors"])
    name = next(name for name, array in arrays.items() if array.dtype.is_floating_point)
    infinite = arrays | {name: torch.full_like(arrays[name], float("inf"))}
    assert "infinite number" in refused(packed(members | {"arrays.safetensors": save(infinite)}))
    monkeypatch.setattr(arrays_file, "MAX_CELLS", 100)
    assert "more than 100 numbers" in refused(packed(members))


def test_flipped_bytes_are_noticed_or_harmless(good):
    """2,000 random damages: a refusal, or a part of the zip that says nothing about the run."""
    draw, whole = random.Random(0), read_capsule(good)
    refusals = 0
    for _ in range(2000):
        damaged = bytearray(good)
        for _ in range(draw.choice((1, 1, 2, 8))):
            damaged[draw.randrange(len(good))] = draw.randrange(256)
        try:
            read = read_capsule(bytes(damaged))
        except HeadlightError:
            refusals += 1
        else:
            assert (read.record, read.attachments, read.labels) == (whole.record, whole.attachments, whole.labels)
    assert refusals > 1500


def test_cut_anywhere_is_refused(good):
    for size in range(0, len(good), 97):
        refused(good[:size])


def test_flipped_bytes_inside_members_that_hash_right_raise_nothing_else(members):
    """The attacker recomputes hashes: what is in the members is checked, not only that it is unchanged."""
    draw = random.Random(1)
    for name in ("run.json", "arrays.safetensors", "labels.json", "attachments/evaluation/main.json"):
        for _ in range(150):
            content = bytearray(members[name])
            content[draw.randrange(len(content))] = draw.randrange(256)
            try:
                read_capsule(packed(members | {name: bytes(content)}))
            except HeadlightError:
                continue
