"""Chunks on disk: read back to the last bit, or not there."""

import math

import pytest
import torch

from engine.notes.journal import Chunk
from engine.store.file_names import file_name
from engine.store.journal import FolderJournal

TENSORS = {
    "single": torch.tensor([[0.1, float("nan")]]),
    "double": torch.tensor([1 / 3], dtype=torch.float64),
    "half": torch.tensor([1.5], dtype=torch.bfloat16),
    "whole": torch.tensor(2**60),
    "flags": torch.tensor([[True], [False]]),
    "none": torch.zeros(0, 3),
    "turned": torch.arange(6.0).reshape(2, 3).T,
}
VALUES = {"x": 1 / 3, "nan": math.nan, "rows": [["23.3", None], [True, 2**70]], "text": "ü\n"}


def test_a_chunk_comes_back_to_the_last_bit(tmp_path):
    FolderJournal(tmp_path / "chunks").write("search/12.q", Chunk(VALUES, TENSORS))
    chunk = FolderJournal(tmp_path / "chunks").read("search/12.q")
    assert repr(chunk.values) == repr(VALUES) and set(chunk.tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert chunk.tensors[name].dtype == tensor.dtype
        torch.testing.assert_close(chunk.tensors[name], tensor, rtol=0, atol=0, equal_nan=True)
    assert FolderJournal(tmp_path / "chunks").read("search/12.k") is None
    assert FolderJournal(tmp_path / "none").read("search/12.q") is None


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "../../x", "/etc/passwd", "a\\b", "c:x", "a\0b", "x" * 3000, "é/" * 200, "~root", "%2F", "A"],
)
def test_any_name_is_a_file_of_its_own_in_the_folder(tmp_path, name):
    folder = tmp_path / "in" / "chunks"
    folder.parent.mkdir()
    journal = FolderJournal(folder)
    journal.write(name, Chunk({"name": name}))
    journal.write(f"{name}.", Chunk({}))
    assert journal.read(name).values == {"name": name}
    assert [path.name for path in tmp_path.iterdir()] == ["in"] and len(list(folder.iterdir())) == 2
    assert {path.parent for path in tmp_path.rglob("*.safetensors")} == {folder}


def test_names_of_files_can_be_told_by_hand():
    assert file_name("search/12.q", ".x") == "search%2F12.q.x"
    assert file_name("../a b~", ".x") == "%2E.%2Fa%20b%7E.x"
    assert len(file_name("x" * 500, "")) == 113 and file_name("x" * 500, "") != file_name("x" * 501, "")


def test_every_chunk_with_a_byte_changed_or_cut_off_counts_as_not_there(tmp_path, caplog):
    journal = FolderJournal(tmp_path)
    journal.write("a", Chunk({"x": 0.5, "y": [1, 2]}, {"t": torch.arange(4.0)}))
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert journal.read("a") is None, place
        path.write_bytes(whole[:place])
        assert journal.read("a") is None, place
    assert "done again" in caplog.text
    path.write_bytes(whole)
    assert journal.read("a").values == {"x": 0.5, "y": [1, 2]}


def test_a_chunk_under_another_name_is_not_taken(tmp_path):
    journal = FolderJournal(tmp_path)
    journal.write("a", Chunk({"x": 1}))
    (tmp_path / "a.safetensors").rename(tmp_path / "b.safetensors")
    assert journal.read("b") is None and journal.read("a") is None


def test_links_are_not_followed(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    FolderJournal(outside).write("a", Chunk({"x": 1}))
    inside.symlink_to(outside)
    journal = FolderJournal(inside)
    assert journal.read("a") is None
    journal.write("b", Chunk({}))
    assert journal.problem is not None and [path.name for path in outside.iterdir()] == ["a.safetensors"]
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.safetensors").symlink_to(outside / "a.safetensors")
    assert FolderJournal(tmp_path / "real").read("a") is None


def test_what_cannot_be_written_is_told_and_stops_nothing(tmp_path, caplog):
    (tmp_path / "chunks").write_text("a file")
    journal = FolderJournal(tmp_path / "chunks")
    journal.write("a", Chunk({}))
    assert isinstance(journal.problem, OSError) and "is not kept" in caplog.text
    assert journal.read("a") is None
