"""Capsules whose zip or manifest was made to do harm, or damaged on the way: each is refused with its reason."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

import pytest

from engine.capsule import archive
from engine.capsule.reading import read_capsule
from tests.engine.capsule.bad import packed, refused, repacked


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
