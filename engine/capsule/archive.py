"""A zip from strangers, read in memory and never unpacked to disk.

1. The end record must be the last thing in the file, of the plain kind (no zip64, no comment, one disk), and count few
   members: only then is the directory read.
2. Members: regular files, each name once and allowed, not encrypted, stored or deflated, sizes within the limits.
3. Inflating stops at the size a member declares, and its checksum must fit: one that lies about its size is refused
   without being inflated further.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

from engine.capsule.capsule import MAX_FILE, MAX_MEMBERS, MAX_TOTAL, WAY_ON, is_allowed, max_size
from engine.errors import HeadlightError

END, END_SIZE = struct.Struct("<4s4H2LH"), 22
END_MARK, ZIP64_MARK, ZIP64_SIZE = b"PK\x05\x06", b"PK\x06\x07", 20
ENCRYPTED = 0x1 | 0x40 | 0x2000  # plain, strong, and of the directory
# What the standard library raises for files that are damaged, or only look like a zip.
DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, ValueError,
    OverflowError, EOFError, OSError, KeyError, IndexError,
)  # fmt: skip


class Archive:
    """The members of a capsule's bytes. Raises HeadlightError for a zip that no capsule is."""

    def __init__(self, content: bytes) -> None:
        _check_end(content)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except DAMAGED as error:
            raise HeadlightError(f"The capsule is damaged: its directory cannot be read ({error}). {WAY_ON}") from error
        self._infos = self._zip.infolist()

    @property
    def names(self) -> list[str]:
        return [info.filename for info in self._infos]

    def check(self) -> None:
        """Refuse any member that no capsule of this version has, and more than it may hold."""
        for name in self.names:
            if self.names.count(name) > 1:
                raise HeadlightError(f"The capsule has {_shown(name)} twice, so it is not clear which counts. {WAY_ON}")
            if not is_allowed(name):
                raise HeadlightError(f"The capsule has a member {_shown(name)}, which no capsule has. {WAY_ON}")
        for info in self._infos:
            _check_member(info)
        if (total := sum(info.file_size for info in self._infos)) > MAX_TOTAL:
            most = _mb(MAX_TOTAL)
            raise HeadlightError(f"The capsule would unpack to {_mb(total)}; at most {most} is read. {WAY_ON}")

    def read(self, name: str) -> bytes:
        """One member, inflated; raises HeadlightError if it is not there or not what the directory says."""
        info = next((info for info in self._infos if info.filename == name), None)
        if info is None:
            raise HeadlightError(f"The capsule has no {name}. {WAY_ON}")
        _check_member(info)
        try:
            with self._zip.open(info) as member:
                content = member.read(info.file_size + 1)  # the one more makes it compare the checksum
        except DAMAGED as error:
            raise HeadlightError(f"The capsule is damaged: {name} cannot be read ({error}). {WAY_ON}") from error
        if len(content) != info.file_size:
            raise HeadlightError(
                f"The capsule is damaged: {name} has {len(content):,} bytes, not {info.file_size:,}. {WAY_ON}"
            )
        return content


def _check_end(content: bytes) -> None:
    """Step 1, before anything is believed."""
    if len(content) > MAX_FILE:
        raise HeadlightError(f"The capsule has {_mb(len(content))}; at most {_mb(MAX_FILE)} can be read. {WAY_ON}")
    if len(content) < END_SIZE or not content.startswith(b"PK"):
        raise HeadlightError(f"This is not a capsule: it is no zip. {WAY_ON}")
    mark, disk, first_disk, here, members, size, _, comment = END.unpack(content[-END_SIZE:])
    zip64 = content[-END_SIZE - ZIP64_SIZE :].startswith(ZIP64_MARK)
    if mark != END_MARK or zip64 or comment or disk or first_disk or here != members:
        raise HeadlightError(
            f"The capsule is cut off, has something after its end or is a zip of another kind. {WAY_ON}"
        )
    if members > MAX_MEMBERS or size > MAX_MEMBERS * 1000:
        raise HeadlightError(f"The capsule has {members:,} members; at most {MAX_MEMBERS} can be read. {WAY_ON}")


def _check_member(info: zipfile.ZipInfo) -> None:
    name, kind = _shown(info.filename), stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or kind not in (0, stat.S_IFREG):  # 0: a zip that says no kind
        raise HeadlightError(f"The capsule's member {name} is a link, a folder or a device, not a file. {WAY_ON}")
    if info.flag_bits & ENCRYPTED:
        raise HeadlightError(f"The capsule's member {name} is encrypted. {WAY_ON}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise HeadlightError(f"The capsule's member {name} is packed in a way that no capsule is. {WAY_ON}")
    if info.file_size > max_size(info.filename):
        raise HeadlightError(
            f"The capsule's member {name} would unpack to {_mb(info.file_size)}; at most "
            f"{_mb(max_size(info.filename))} is read. {WAY_ON}"
        )


def _shown(name: str) -> str:
    return f"“{''.join(letter if letter.isprintable() else '?' for letter in name[:60])}”"


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
