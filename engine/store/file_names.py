"""Names that anybody may choose, as names of files: no separator, no dots that climb, not too long."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

LONGEST = 120


def file_name(name: str, ending: str) -> str:
    """One name, one file: letters, digits, ``.``, ``-`` and ``_`` stay, all else is written ``%2F``.

    A long one is cut off and ends in a hash.
    """
    safe = quote(name, safe="").replace("~", "%7E")
    if safe.startswith("."):
        safe = f"%2E{safe[1:]}"
    if len(safe) > LONGEST:
        safe = f"{safe[: LONGEST - 40]}%{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    return f"{safe}{ending}"
