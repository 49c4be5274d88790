"""Files of the store: read without following links, their troubles told in a sentence.

1. They are written by engine/machine/atomic.py: whole and for good, or not at all.
2. A link inside the store is not followed: what a run's folder holds cannot reach out of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import HeadlightError
from engine.store.home import HOME_VARIABLE


def read_file(path: Path) -> bytes:
    """Raises OSError, also for a link and for what lies in a linked folder."""
    if path.is_symlink() or path.parent.is_symlink():
        raise OSError(0, "it is a link, which is not followed", str(path))
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        return file.read()


def own_folder(path: Path) -> Path:
    """``path``, made if it is not there; raises OSError for anything but a real folder."""
    path.mkdir(exist_ok=True)
    if path.is_symlink():
        raise OSError(0, "it is a link, which is not followed", str(path))
    return path


def bytes_in(folder: Path) -> int:
    """What the files in and below ``folder`` take; links count for nothing, and so does what goes meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                about = os.stat(os.path.join(place, name), follow_symlinks=False)
            except FileNotFoundError:
                continue
            total += about.st_size
    return total


@contextmanager
def told(root: Path) -> Iterator[None]:
    """What the system says against writing to the store, as a HeadlightError that says where and what to do."""
    try:
        yield
    except OSError as error:
        raise unwritable(root, error) from error


def unwritable(root: Path, error: Exception) -> HeadlightError:
    reason = getattr(error, "strerror", None) or error
    return HeadlightError(
        f"The folder {root}, in which Headlight keeps runs, cannot be used: {reason}. Free or unlock it, or set the "
        f"environment variable {HOME_VARIABLE} to another folder."
    )
