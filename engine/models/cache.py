"""Where prepared models are kept: the user's cache folder, moved by HEADLIGHT_CACHE."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs

from engine.errors import HeadlightError

CACHE_VARIABLE = "HEADLIGHT_CACHE"


def cache_root() -> Path:
    """The cache folder, which need not exist yet."""
    moved = os.environ.get(CACHE_VARIABLE, "").strip()
    return Path(moved).expanduser().absolute() if moved else platformdirs.user_cache_path("headlight")


def writable_cache(name: str) -> Path:
    """The cache folder's subfolder ``name``, made and tried out; raises HeadlightError naming it."""
    folder = cache_root() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def unwritable(folder: Path, error: Exception) -> HeadlightError:
    """The error for a cache that cannot take what should be kept there."""
    reason = getattr(error, "strerror", None) or error
    return HeadlightError(
        f"The cache folder {folder} cannot be written: {reason}. Headlight keeps prepared models, "
        "rows of your own and the trials of automatic settings there. "
        f"Free or unlock it, or set the environment variable {CACHE_VARIABLE} to another folder."
    )
