"""What the server tells a browser beside each page: guess no types, tell other sites no address, be framed by whom.

``HEADLIGHT_FRAMES`` names who may show the app in a frame, as in a policy's frame-ancestors: by default the server
itself; on a Hugging Face Space ``https://huggingface.co``. There is no policy on scripts: Streamlit needs inline ones.
"""

from __future__ import annotations

import os
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.errors import HeadlightError

VARIABLE = "HEADLIGHT_FRAMES"
SOURCE = re.compile(r"'self'|'none'|https?://[\w.*:-]+", re.ASCII)


def headers() -> dict[str, str]:
    """Raises HeadlightError where the variable names no sources."""
    framing = os.environ.get(VARIABLE, "").split() or ["'self'"]
    wrong = [source for source in framing if SOURCE.fullmatch(source) is None]
    if wrong:
        raise HeadlightError(
            f"Expected in {VARIABLE} addresses such as https://huggingface.co, 'self' or 'none', got "
            f"{wrong[0][:60]!r}. Correct it or unset it."
        )
    return {
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",  # an address holds every choice of a view
        "content-security-policy": f"frame-ancestors {' '.join(framing)}",
    }


class SecurityHeaders:
    """Adds them to every answer that has none of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._headers = app, headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    answer.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
