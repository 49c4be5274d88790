"""Which Headlight this is, and what its numbers were made with."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version

VERSION = "0.6.0"
SCHEMA = "headlight/1"  # of a run's record (engine/record/writing.py)
NAMED = ("torch", "transformers", "transformer_lens")


def made_with() -> dict[str, str]:
    """Versions by name, of Headlight, Python and the libraries that compute."""
    return {"headlight": VERSION, "python": platform.python_version()} | {name: _version(name) for name in NAMED}


_version = cache(version)  # read from disk once
