"""Is a file whole? Checked before a weight is read, because loaders pass over some kinds of damage.

A safetensors file states in its header where its last tensor ends, so a truncated one is noticed
without reading it. A folder that Headlight wrote carries a manifest with the size and hash of every file.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from engine.errors import HeadlightError

MANIFEST = "headlight.json"
_LENGTH = struct.Struct("<Q")  # a safetensors file begins with the length of its JSON header


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_safetensors(path: Path) -> None:
    """Raise HeadlightError unless the file is exactly as long as its header says."""
    try:
        expected = _stated_size(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise HeadlightError(f"{path} is not a readable safetensors file: {error}. Fetch it again.") from error
    actual = path.stat().st_size
    if actual != expected:
        raise HeadlightError(
            f"{path} is damaged: its header describes {expected:,} bytes, but it has {actual:,}. "
            "It was probably cut off while being copied or downloaded; fetch it again."
        )


def _stated_size(path: Path) -> int:
    with path.open("rb") as file:
        (header_size,) = _LENGTH.unpack(file.read(_LENGTH.size))
        if header_size > path.stat().st_size:
            raise ValueError("it ends inside its own header")
        header: dict[str, Any] = json.loads(file.read(header_size))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return _LENGTH.size + header_size + max(ends, default=0)


def write_manifest(folder: Path, origin: str, origin_sha256: str) -> None:
    """Record what ``folder`` holds and which file it was made from; call when it is complete."""
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in sorted(folder.iterdir())}
    manifest = {"origin": origin, "origin_sha256": origin_sha256, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")


def is_intact(folder: Path) -> bool:
    """True if every file of the manifest has its size and every safetensors file its stated length.

    Hashes are not compared here: half a gigabyte at each start is too much for what sizes tell.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        if any((folder / name).stat().st_size != facts["bytes"] for name, facts in files.items()):
            return False
        for path in folder.glob("*.safetensors"):
            check_safetensors(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):  # HeadlightError: ValueError
        return False
    return True
