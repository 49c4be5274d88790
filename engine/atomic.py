"""Files that are written whole or not at all, and once written are on the disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_text(text: str, path: Path) -> None:
    """The file is all of ``text``, in UTF-8, or what it was before; raises OSError like any write."""
    write_bytes(text.encode(), path)


def write_bytes(content: bytes, path: Path) -> None:
    """The file is all of ``content`` or what it was before; raises OSError like any write."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
