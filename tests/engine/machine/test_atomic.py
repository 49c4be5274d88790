"""Files written whole or not at all: what is left of a failure, who may read them, and that the move is on the disk."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from engine.machine.atomic import write_bytes, write_text

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and folders as POSIX has them")


@POSIX
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_a_file_says_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text("é", tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode
    assert (tmp_path / "new").read_bytes() == "é".encode()


@POSIX
def test_the_file_is_on_the_disk_before_it_is_moved_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_sync, real_move = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def move(source: Path, target: Path) -> None:
        done.append("move")
        real_move(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", move)
    write_bytes(b"x", tmp_path / "kept")
    assert done == ["file", "move", "folder"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write_bytes(b"before", tmp_path / "kept")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(b"after", tmp_path / "kept")
    assert [each.name for each in tmp_path.iterdir()] == ["kept"] and (tmp_path / "kept").read_bytes() == b"before"


@POSIX
@pytest.mark.parametrize(("code", "is_told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_syncs_no_folders_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_told: bool
) -> None:
    real = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    if is_told:
        with pytest.raises(OSError, match=os.strerror(code)):
            write_bytes(b"x", tmp_path / "kept")
    else:
        write_bytes(b"x", tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"x"


def test_a_link_at_its_place_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other's")
    (tmp_path / "kept").symlink_to(tmp_path / "other")
    write_bytes(b"own", tmp_path / "kept")
    assert (tmp_path / "other").read_bytes() == b"other's" and not (tmp_path / "kept").is_symlink()
