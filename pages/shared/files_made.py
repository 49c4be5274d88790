"""Files made at a click, kept until the browser has fetched them.

Streamlit makes the file of a download button when it is clicked, but no session counts as its user: it is deleted
once two script runs have ended, of whatever session. With thirty people at work that is sooner than a browser asks
for it. So the files made last are held here as well, under a user that never leaves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from streamlit import runtime

HELD = 32  # files of all sessions together; kilobytes to a few megabytes each
_turn = itertools.cycle(range(HELD))


def held(make: Callable[[], str | bytes], file_name: str, mime: str) -> Callable[[], str | bytes]:
    """``make`` for a download button, its file held for a while; Streamlit calls it outside a script run."""

    def made() -> str | bytes:
        content = make()
        if runtime.exists():
            data = content.encode() if isinstance(content, str) else content
            runtime.get_instance().media_file_mgr.add(
                data, mime, f"made {next(_turn)}", file_name, is_for_static_download=True
            )
        return content

    return made
