"""Capsules made to do harm, or damaged on the way: each is refused with its reason, and nothing else is ever raised."""

from __future__ import annotations

import hashlib
import io
import json
import random
import stat
import struct
import zipfile
import zlib

import pytest
import torch
from safetensors.torch import load, save

from engine.capsule import archive, arrays_file, json_text
from engine.capsule.reading import read_capsule
from engine.capsule.writing import capsule_bytes
from engine.errors import HeadlightError


@pytest.fixture(scope="module")
def good(toy_record):
    return capsule_bytes(toy_record, {"evaluation": {"main": {"value": 1}}}, {"name": "x"}, created=0)


@pytest.fixture
def members(good):
    with zipfile.ZipFile(io.BytesIO(good)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(members, info=None, /, **manifest_changes) -> bytes:
    """A zip of these members whose manifest lists them all, with their sizes and hashes, unless changes say else."""
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items() if name != "manifest.json"
    }  # fmt: skip
    manifest = json.loads(members["manifest.json"]) | {"members": listed} | manifest_changes
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in (members | {"manifest.json": json.dumps(manifest).encode()}).items():
            made.writestr((info or {}).get(name, name), content)
    return buffer.getvalue()


def refused(content: bytes) -> str:
    with pytest.raises(HeadlightError) as error:
        read_capsule(content)
    assert str(error.value).endswith(".") and len(str(error.value)) < 500
    return str(error.value)


def test_the_good_one_is_good(good, members):
    assert read_capsule(good).labels == {"name": "x"}
    assert read_capsule(packed(members)).record == read_capsule(good).record


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "no zip"), (b"PK", "no zip"), (b"{" * 100, "no zip"), (b"PK\x03\x04" + bytes(100), "cut off")],
)
def test_what_is_no_zip(content, says):
    assert says in refused(content)


def test_a_file_cut_off_or_with_something_after_its_end(good):
    assert "cut off" in refused(good[:-1])
    assert "cut off" in refused(good + b"more")
    assert "cut off" in refused(good[:-2] + struct.pack("<H", 4) + b"note")
    assert "another kind" in refused(good[:-2] + struct.pack("<H", 4))


def test_a_zip64_end_is_not_followed(good):
    locator = b"PK\x06\x07" + bytes(16)
    assert "another kind" in refused(good[:-22] + locator + good[-22:])


def test_a_file_that_is_too_large_is_not_opened(good, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE", 1000)
    assert "at most 0.0 MB" in refused(good)


@pytest.mark.parametrize(
    "name",
    ["../run.json", "/etc/passwd", "attachments/evaluation/../../x.json", "attachments/other/x.json", "a.pkl",
     "attachments/evaluation/x.JSON", "attachments\\evaluation\\x.json", "run.json ", "C:run.json", "manifest.json/x",
     "attachments/evaluation/x.json\n"],
)  # fmt: skip
def test_members_that_no_capsule_has(members, name):
    assert "which no capsule has" in refused(packed(members | {name: b"{}"}))


def test_a_member_twice(members):
    buffer = io.BytesIO(packed(members))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(buffer, "a") as opened:
        opened.writestr("run.json", b"{}")
    assert "twice" in refused(buffer.getvalue())


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFDIR | 0o755, stat.S_IFIFO | 0o644])
def test_a_link_a_folder_or_a_pipe(members, mode):
    info = zipfile.ZipInfo("labels.json")
    info.external_attr = mode << 16
    assert "a link, a folder or a device" in refused(packed(members, {"labels.json": info}))


def test_a_folder_by_its_name(members):
    assert "which no capsule has" in refused(packed(members | {"attachments/": b""}))


def changed_directory(content: bytes, name: str, offset: int, value: bytes, local: int | None = None) -> bytes:
    """The zip with bytes of one member's entry in the directory (and of its own header) exchanged."""
    central = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    made = content[: central + offset] + value + content[central + offset + len(value) :]
    if local is not None:
        at = content.index(b"PK\x03\x04", content.index(name.encode()) - 30)
        made = made[: at + local] + value + made[at + local + len(value) :]
    return made


def test_an_encrypted_member(members):
    encrypted = changed_directory(packed(members), "run.json", 8, struct.pack("<H", 1), local=6)
    assert "is encrypted. Give" in refused(encrypted)


def test_another_compression(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as made:
        for name, content in members.items():
            made.writestr(name, content, zipfile.ZIP_LZMA if name == "run.json" else zipfile.ZIP_DEFLATED)
    assert "packed in a way" in refused(buffer.getvalue())


def test_a_bomb_that_says_its_size_is_not_inflated(members, monkeypatch):
    bomb = packed(members | {"labels.json": b" " * 30_000_000})
    assert len(bomb) < 100_000
    monkeypatch.setattr(zlib, "decompressobj", forbidden(zlib.decompressobj, 100_000))
    assert "would unpack to 30.0 MB; at most 1.0 MB" in refused(bomb)


def test_many_members_that_are_a_bomb_together(members):
    many = {f"attachments/evaluation/n{i}.json": b" " * 9_000_000 for i in range(6)}
    assert "at most 50.0 MB" in refused(packed(members | many))


def test_a_bomb_that_lies_about_its_size_is_inflated_no_further(members, monkeypatch):
    bomb = packed(members | {"labels.json": b" " * 30_000_000})
    size = struct.pack("<L", 100)
    liar = changed_directory(bomb, "labels.json", 24, size, local=22)
    monkeypatch.setattr(zlib, "decompressobj", forbidden(zlib.decompressobj, 100_000))
    assert "labels.json cannot be read" in refused(liar)


def forbidden(make, most: int):
    """``zlib.decompressobj`` that fails the test once a stream gives more than ``most`` bytes."""

    class Counting:
        def __init__(self, *arguments):
            self._inner, self._given = make(*arguments), 0

        def decompress(self, data, limit=0):
            made = self._inner.decompress(data, limit)
            self._given += len(made)
            assert self._given <= most, "a bomb went off"
            return made

        def __getattr__(self, name):
            return getattr(self._inner, name)

    return Counting


def test_too_many_members(members):
    assert "at most 100" in refused(packed(members | {f"attachments/edges/n{i}.json": b"{}" for i in range(100)}))


def test_members_the_manifest_does_not_list_and_the_other_way_round(members):
    listed = {"run.json": {}, "arrays.safetensors": {}}
    assert "differ: 'attachments/evaluation/main.json'" in refused(packed(members, members=listed))
    del members["arrays.safetensors"]
    assert "differ: 'arrays.safetensors'" in refused(packed(members))
    assert "no manifest.json" in refused(repacked({"run.json": b"{}"}))


def repacked(members) -> bytes:
    """A zip of exactly these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return buffer.getvalue()


def test_changed_after_it_was_written(members):
    record = members["run.json"]
    assert "was changed" in refused(repacked(members | {"run.json": record.replace(b"ioi", b"gio").swapcase()}))
    assert "has not the size" in refused(repacked(members | {"run.json": record + b" "}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "headlight-capsule/2"}, "made by a newer Headlight: its schema is headlight-capsule/2"),
        ({"schema": "headlight-capsule/1000000000000"}, "this one says another or none"),
        ({"schema": "headlight-capsule/0"}, "got 'headlight-capsule/0'"),
        ({"schema": "other/1"}, "this one says another or none"),
        ({"schema": None}, "this one says another or none"),
        ({"schema": ["headlight-capsule/1"]}, "this one says another or none"),
        ({"created": 7}, "when it was written"),
        ({"made_with": {"torch": "x" * 1000}}, "by which versions"),
        ({"made_with": None}, "by which versions"),
        ({"fingerprint": "0" * 16}, "different models' fingerprints"),
        ({"members": []}, "list of members"),
    ],
)
def test_manifests(members, changes, says):
    assert says in refused(packed(members, **changes))


def test_a_newer_capsule_is_called_that_even_with_members_we_do_not_know(members):
    assert "newer" in refused(packed(members | {"weights.bin": b"1"}, schema="headlight-capsule/2"))


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
