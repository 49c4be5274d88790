"""A .gguf file is unpacked once, and never half."""

from __future__ import annotations

import json
import os
import shutil
import struct
import threading

import pytest
import torch

from engine.errors import HeadlightError
from engine.models import gguf
from engine.models.gguf import is_prepared, prepared_folder, prepared_path
from engine.models.gguf_header import read_header
from engine.models.integrity import MANIFEST, sha256_of
from engine.models.loading import load_model
from tests.tiny import TINY_WORDS, save_tiny_gguf


@pytest.fixture(scope="module")
def tiny_gguf(tiny_model_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    save_tiny_gguf(tiny_model_folder("llama"), path)
    return path


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    folder = tmp_path / "cache"
    monkeypatch.setenv("HEADLIGHT_CACHE", str(folder))
    return folder


@pytest.fixture
def conversions(monkeypatch):
    """The files converted so far."""
    converted = []
    original = gguf._convert

    def counting(path, folder):
        converted.append(path)
        original(path, folder)

    monkeypatch.setattr(gguf, "_convert", counting)
    return converted


def test_header_tells_architecture_parameters_and_size(tiny_gguf, tiny_model):
    header = read_header(tiny_gguf)
    assert header.architecture == "llama"
    assert header.parameters == sum(p.numel() for p in tiny_model("llama").hf_model.parameters())
    assert header.bytes == tiny_gguf.stat().st_size


def test_unpacked_model_computes_what_the_original_does(tiny_gguf, tiny_model_folder):
    original, unpacked = load_model(str(tiny_model_folder("llama"))), load_model(str(tiny_gguf))
    tokens = torch.randint(300, (3, 9), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unpacked.hf_model(tokens).logits, original.hf_model(tokens).logits, rtol=0, atol=1e-6)
    assert unpacked.name == "tiny"
    text = " ".join(TINY_WORDS)
    assert unpacked.tokenizer(text).input_ids == original.tokenizer(text).input_ids


def test_second_time_is_read_from_the_cache(tiny_gguf, conversions):
    said: list[str] = []
    first = prepared_folder(tiny_gguf, said.append)
    assert any("once" in text for text in said)
    said.clear()
    assert prepared_folder(tiny_gguf, said.append) == first
    assert (len(conversions), said) == (1, [])


def test_folder_is_named_by_the_files_content(tiny_gguf, tmp_path, conversions):
    copy = shutil.copy(tiny_gguf, tmp_path / "renamed.gguf")
    assert prepared_folder(copy) == prepared_folder(tiny_gguf)
    assert sha256_of(tiny_gguf)[:20] in prepared_path(tiny_gguf).name
    assert len(conversions) == 1


def test_nothing_but_the_folder_and_its_lock_is_left(tiny_gguf, cache):
    folder = prepared_folder(tiny_gguf)
    assert sorted(path.name for path in (cache / "gguf").iterdir()) == [folder.name, f"{folder.name}.lock"]
    assert set(json.loads((folder / MANIFEST).read_text())["files"]) >= {"config.json", "model.safetensors"}
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("victim", ["model.safetensors", "tokenizer.json", MANIFEST])
def test_damaged_cache_is_rebuilt(tiny_gguf, conversions, victim):
    path = prepared_folder(tiny_gguf) / victim
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert not is_prepared(tiny_gguf)
    prepared_folder(tiny_gguf)
    assert path.read_bytes() == whole
    assert len(conversions) == 2


def test_leftovers_of_an_interrupted_conversion_are_removed(tiny_gguf, cache):
    leftover = cache / "gguf" / f"{prepared_path(tiny_gguf).name}.abc.part"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(b"half")
    prepared_folder(tiny_gguf)
    assert not leftover.exists()


def test_interrupted_conversion_leaves_nothing_that_could_be_loaded(tiny_gguf, monkeypatch, cache):
    def interrupted(path, folder):
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(gguf, "_convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepared_folder(tiny_gguf)
    assert [path.suffix for path in (cache / "gguf").iterdir()] == [".lock"]


def test_two_at_once_convert_once(tiny_gguf, monkeypatch):
    converted, original = [], gguf._convert
    second_waits = threading.Event()

    def slow(path, folder):
        converted.append(path)
        assert second_waits.wait(timeout=60)
        original(path, folder)

    def hear(text: str) -> None:
        if "Waiting" in text:
            second_waits.set()

    monkeypatch.setattr(gguf, "_convert", slow)
    folders = []
    threads = [threading.Thread(target=lambda: folders.append(prepared_folder(tiny_gguf, hear))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(converted) == 1
    assert len(folders) == 2
    assert folders[0] == folders[1]


@pytest.mark.parametrize("keep", [0, 3, 20, 300, 10_000, -1])
def test_cut_off_file_is_refused_before_conversion(tiny_gguf, tmp_path, conversions, keep):
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[:keep])
    with pytest.raises(HeadlightError, match=r"not a readable GGUF|is cut off"):
        load_model(str(path))
    assert not conversions


def test_other_files_and_versions_are_refused(tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(HeadlightError, match="does not begin with the letters GGUF"):
        read_header(path)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 1, 0, 0))
    with pytest.raises(HeadlightError, match="version is 1"):
        read_header(path)


def _altered(tiny_gguf, tmp_path, old: bytes, new: bytes):
    content = tiny_gguf.read_bytes()
    assert content.count(old) >= 1
    path = tmp_path / "altered.gguf"
    path.write_bytes(content.replace(old, new, 1))
    return path


def test_unsupported_architecture_is_refused_by_name(tiny_gguf, tmp_path, conversions):
    path = _altered(tiny_gguf, tmp_path, b"llama", b"mamba")
    with pytest.raises(HeadlightError, match=r"altered\.gguf has the architecture mamba, which is not supported"):
        load_model(str(path))
    assert not conversions


def test_architecture_known_from_other_files_only_is_said(tiny_gguf, tmp_path, conversions):
    path = _altered(tiny_gguf, tmp_path, b"llama", b"qwen3")
    with pytest.raises(HeadlightError, match=r"is a qwen3 model, .* as \.gguf it reads gpt2, llama, qwen2"):
        load_model(str(path))
    assert not conversions


def test_missing_weights_are_refused(tiny_gguf, tmp_path, cache):
    path = _altered(tiny_gguf, tmp_path, b"blk.1.ffn_up", b"blk.1.ffn_xx")
    with pytest.raises(HeadlightError, match="lacks weights the model needs"):
        load_model(str(path))
    assert not prepared_path(path).exists()


def test_unreadable_contents_are_refused_with_the_readers_reason(tiny_gguf, tmp_path):
    path = _altered(tiny_gguf, tmp_path, b"tokenizer.ggml.model", b"tokenizer.ggml.muddl")
    with pytest.raises(HeadlightError, match="could not be unpacked"):
        load_model(str(path))


def test_not_enough_memory_is_said_before_conversion(tiny_gguf, monkeypatch, conversions):
    monkeypatch.setattr("engine.models.preflight.free_bytes", lambda device: 100_000_000)
    with pytest.raises(HeadlightError, match=r"needs about 0\.4 GB .* only 0\.1 GB are free"):
        load_model(str(tiny_gguf))
    assert not conversions


def test_unwritable_cache_is_named_with_the_variable_that_moves_it(tiny_gguf, monkeypatch, tmp_path):
    blocker = tmp_path / "a file"
    blocker.write_text("")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(blocker / "cache"))
    with pytest.raises(HeadlightError, match=r"a file/cache/gguf cannot be written: Not a directory.*HEADLIGHT_CACHE"):
        load_model(str(tiny_gguf))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_cache_is_named(tiny_gguf, cache):
    cache.mkdir()
    cache.chmod(0o500)
    with pytest.raises(HeadlightError, match=r"cannot be written: Permission denied.*HEADLIGHT_CACHE"):
        load_model(str(tiny_gguf))


def test_disk_that_fills_up_while_writing_is_said(tiny_gguf, monkeypatch, cache):
    def full(path, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gguf, "_convert", full)
    with pytest.raises(HeadlightError, match=r"cannot be written: No space left.*HEADLIGHT_CACHE"):
        prepared_folder(tiny_gguf)
    assert [path.suffix for path in (cache / "gguf").iterdir()] == [".lock"]
