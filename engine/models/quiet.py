"""transformers and the hub's client draw progress bars on the console; the engine speaks through callbacks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from engine.models.imports import importing


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """No progress bars of theirs while this is open."""
    with importing:
        from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
        from transformers.utils import logging

    transformers_drew, hub_drew = logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    logging.disable_progress_bar()
    disable_progress_bars()
    try:
        yield
    finally:
        if transformers_drew:
            logging.enable_progress_bar()
        if hub_drew:
            enable_progress_bars()
