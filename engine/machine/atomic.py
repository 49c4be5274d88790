"""Files that are written whole or not at all, and once written are on the disk.

1. A file is written beside its place under a name of its own, brought to the disk, and moved into its place: whoever
   reads sees all of it or what was there before.
2. Then its folder is brought to the disk, so that the move outlives a power cut too.
3. Who may read it says the system's umask, as for any file: nothing kept here is secret.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

TEMPORARY = "."  # how names of files begin that are not finished
MODE = 0o666  # what the umask leaves of it
NO_FOLDERS = (errno.EINVAL, errno.ENOTSUP)  # what file systems say that bring only files to the disk


def write_text(text: str, path: Path) -> None:
    """The file is all of ``text``, in UTF-8, or what it was before; raises OSError like any write."""
    write_bytes(text.encode(), path)


def write_bytes(content: bytes, path: Path) -> None:
    """The file is all of ``content``, even after a power cut, or what it was before; raises OSError like any write."""
    temporary = path.with_name(f"{TEMPORARY}{path.name[:40]}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring names that were added or moved in ``folder`` to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDERS:
            raise
    finally:
        os.close(descriptor)
