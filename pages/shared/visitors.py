"""Who is here: browser sessions, whose they are, and what each looks at.

1. A session is one open tab. Its owner is the browser, known by a cookie that says nothing but a random number (app.py
   sets it): jobs are the owner's, so a reload or a second tab finds them as one's own. Without a cookie each session
   is its own owner.
2. An owner is here while one of his sessions is connected.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Hashable

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

COOKIE = "headlight_browser"
LONGEST = 64  # of a cookie's value that is taken for one


def session() -> str:
    """The session whose page is being drawn; empty outside of any."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def owner() -> str | None:
    """Whose page is being drawn, as a hash; None outside of any session."""
    if not session():
        return None
    cookie = st.context.cookies.get(COOKIE)
    value = cookie[:LONGEST] if isinstance(cookie, str) and cookie else session()
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def is_connected(session: str) -> bool:
    return runtime.exists() and bool(runtime.get_instance().is_active_session(session))


class Visitors:
    """The sessions that have drawn a page; safe to call from any thread."""

    def __init__(self, connected: Callable[[str], bool] = is_connected) -> None:
        self._connected = connected
        self._lock = threading.Lock()
        self._owners: dict[str, Hashable] = {}
        self._keys: dict[str, Hashable] = {}
        self._left: list[tuple[Hashable, Hashable]] = []

    def note(self, session: str, owner: Hashable) -> bool:
        """``owner`` has drawn a page in ``session``; True if that is new."""
        with self._lock:
            is_new = session not in self._owners
            self._owners[session] = owner
            return is_new

    def move(self, session: str, key: Hashable) -> None:
        """Note what ``session`` looks at now."""
        with self._lock:
            before, owner = self._keys.get(session), self._owners.get(session)
            self._keys[session] = key
            if before is not None and before != key:
                self._left.append((before, owner))

    def left(self) -> list[tuple[Hashable, Hashable]]:
        """What was looked at and the owner who does so no more, since the last time this was asked.

        He has moved on, or is gone; one who has another session that looks at it has not left.
        """
        with self._lock:
            for each in [each for each in self._owners if not self._connected(each)]:
                owner, key = self._owners.pop(each), self._keys.pop(each, None)
                self._left += [(key, owner)] if key is not None else []
            left, self._left = self._left, []
            still = {(key, self._owners.get(session)) for session, key in self._keys.items()}
            return [pair for pair in dict.fromkeys(left) if pair not in still]

    def is_followed(self, key: Hashable) -> bool:
        """Whether a session looks at it."""
        with self._lock:
            return key in self._keys.values()

    def is_here(self, owner: Hashable) -> bool:
        with self._lock:
            sessions = [session for session, whose in self._owners.items() if whose == owner]
        return any(map(self._connected, sessions))

    def count(self) -> int:
        """Sessions that are connected."""
        with self._lock:
            sessions = list(self._owners)
        return sum(map(self._connected, sessions))


class BrowserCookie:
    """Gives each browser its random number with the first page it asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or COOKIE in _cookies(scope):
            await self._app(scope, receive, send)
            return

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                value = f"{COOKIE}={secrets.token_hex(16)}; Path=/; HttpOnly; SameSite=Lax"
                MutableHeaders(scope=message).append("set-cookie", value)
            await send(message)

        await self._app(scope, receive, with_cookie)


def _is_page(message: Message) -> bool:
    """Not one of the files that a page fetches, several at once: each would bring another cookie."""
    return MutableHeaders(raw=list(message["headers"])).get("content-type", "").startswith("text/html")


def _cookies(scope: Scope) -> dict[str, str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    return {name: value for line in lines for name, value in cookie_parser(line).items()}
