"""Cut-off and altered files are noticed from their headers and from the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct

import pytest

from engine.errors import HeadlightError
from engine.models.integrity import MANIFEST, check_safetensors, is_intact, sha256_of, write_manifest


@pytest.fixture
def weights(tiny_model_folder, tmp_path):
    return shutil.copy(tiny_model_folder("gpt2") / "model.safetensors", tmp_path / "model.safetensors")


def test_a_whole_file_passes(weights):
    check_safetensors(weights)


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_cut_off_anywhere_is_noticed(weights, keep):
    content = weights.read_bytes()
    weights.write_bytes(content[:keep])
    with pytest.raises(HeadlightError, match=r"not a readable safetensors|is damaged"):
        check_safetensors(weights)


def test_the_message_gives_both_sizes(weights):
    size = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(HeadlightError, match=f"describes {size:,} bytes, but it has {size - 1000:,}"):
        check_safetensors(weights)


def test_extra_bytes_are_noticed(weights):
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(HeadlightError, match="is damaged"):
        check_safetensors(weights)


@pytest.mark.parametrize("header", [b"not json", b"[1, 2]", b'{"w": {"dtype": "F32"}}', b'{"w": 3}'])
def test_a_header_that_is_no_header_is_refused(tmp_path, header):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(HeadlightError, match="not a readable safetensors"):
        check_safetensors(path)


def test_hash_is_sha256_of_the_bytes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert sha256_of(path) == hashlib.sha256(b"abc").hexdigest()


def test_manifest_holds_size_and_hash_of_every_file(weights):
    folder = weights.parent
    (folder / "config.json").write_text("{}")
    write_manifest(folder, "x.gguf", "0" * 64)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert set(manifest["files"]) == {"config.json", "model.safetensors"}
    assert manifest["files"]["config.json"] == {"bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}
    assert manifest["origin"] == "x.gguf"
    assert is_intact(folder)


@pytest.mark.parametrize("damage", ["truncate", "other file", "remove", "no manifest", "bad manifest", "header"])
def test_a_damaged_folder_is_not_intact(weights, damage):
    folder = weights.parent
    (folder / "tokenizer.json").write_text("{}")
    write_manifest(folder, "x.gguf", "0" * 64)
    content = weights.read_bytes()
    if damage == "truncate":
        weights.write_bytes(content[:-1])
    elif damage == "other file":
        (folder / "tokenizer.json").write_text("{")
    elif damage == "remove":
        weights.unlink()
    elif damage == "no manifest":
        (folder / MANIFEST).unlink()
    elif damage == "bad manifest":
        (folder / MANIFEST).write_text('{"files": 3}')
    else:  # right size, but no longer a header
        weights.write_bytes(b"\xff" * len(content))
    assert not is_intact(folder)
