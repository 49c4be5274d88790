"""``python -m engine.models.prepare``: unpack the bundled model once, so that the app starts at once.

Part of ``make install``. Exit code 0 if the model is ready, or if its package is not installed, which
is said and leaves the other models; 1 with a message if it cannot be unpacked.
"""

from __future__ import annotations

import sys
import time

from engine.errors import HeadlightError
from engine.models.gguf import is_prepared, prepared_folder, prepared_path
from engine.models.registry import DEFAULT_MODEL
from engine.models.sources import bundled_gguf, find_bundled_gguf


def main() -> int:
    """Prepare, telling on stderr what happens; returns the exit code."""
    try:
        return _prepare()
    except HeadlightError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; nothing half-written is kept")
        return 130


def _prepare() -> int:
    if find_bundled_gguf() is None:
        try:
            bundled_gguf()
        except HeadlightError as missing:
            _say(f"note: {missing}")
        return 0
    path = bundled_gguf()
    if is_prepared(path):
        _say(f"{DEFAULT_MODEL} is ready in {prepared_path(path)}")
        return 0
    started = time.monotonic()
    folder = prepared_folder(path, announce=_say)
    _say(f"{DEFAULT_MODEL} is ready in {folder} ({time.monotonic() - started:.0f} s)")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
