"""Where workers of Ray are, as ``--ray`` takes it; asks nobody."""

from __future__ import annotations

import re

from engine.errors import HeadlightError

AUTO = "auto"
ADDRESS = re.compile(r"(ray://)?[\w.\[\]:-]{1,200}:\d{1,5}", re.ASCII)


def check_address(text: str) -> str:
    """``auto``, or the address of a cluster that runs; raises HeadlightError for anything else."""
    if text != AUTO and not ADDRESS.fullmatch(text):
        raise HeadlightError(f"Expected {AUTO} or the address of a Ray cluster such as 10.0.0.5:6379, got {text!r}.")
    return text
