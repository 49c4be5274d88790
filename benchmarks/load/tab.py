"""One open tab without a browser: Streamlit's own protocol over its websocket.

1. A tab asks for a run of the script at an address (page and query), as a browser does on a visit, and collects the
   elements that come back until the server says that the run has ended.
2. It does what the page asks of a browser meanwhile: fragments that poll are run again when their time has come.
3. A click sends the button's trigger. A file is asked for by the id that its button came with, and fetched.

It keeps what a browser keeps of a person: a cookie. Closed and opened again, it is a reload.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from pages.shared.visitors import COOKIE

TEXT = ("markdown", "html", "alert")
QUIET_SECONDS = 0.02  # between two looks at what came
FILE_SECONDS = 60.0


class Broken(AssertionError):
    """The page showed an error of the program, or did not come to what was awaited."""


class Late(Broken):
    """What was awaited did not come."""


@dataclass
class Tab:
    """``waits`` are the seconds of every full run of the script, from asking to its end."""

    address: str
    cookie: str = field(default_factory=lambda: secrets.token_hex(16))
    waits: list[float] = field(default_factory=list)
    clicked_again: int = 0  # downloads
    page: str = ""
    query: dict[str, str] = field(default_factory=dict)
    _socket: ClientConnection | None = None
    _reader: asyncio.Task[None] | None = None
    _elements: dict[tuple[int, ...], tuple[str, Any]] = field(default_factory=dict)  # with the fragment they are of
    _polls: dict[str, tuple[float, float]] = field(default_factory=dict)  # fragment: interval, due
    _answers: dict[str, Any] = field(default_factory=dict)
    _session: str = ""
    _running: bool = False
    _asked: float | None = None

    async def open(self, page: str = "", **query: str) -> None:
        """Visit an address; the run has ended when this returns."""
        self.page, self.query = page, query or self.query
        if self._socket is None:
            self._socket = await connect(
                f"{self.address.replace('http', 'ws', 1)}_stcore/stream", max_size=None, open_timeout=60,
                origin=Origin(self.address.rstrip("/")), subprotocols=[Subprotocol("streamlit")], ping_interval=None,
                additional_headers={"Cookie": f"{COOKIE}={self.cookie}"},
            )  # fmt: skip
            self._reader = asyncio.create_task(self._read(self._socket))
        await self._run()

    async def close(self) -> None:
        if self._socket is not None and self._reader is not None:
            await self._socket.close()
            await self._reader
            self._socket = self._reader = None
            self._elements, self._polls = {}, {}

    async def until(self, reached: Callable[[Tab], bool], what: str, seconds: float) -> None:
        """Poll as the page asks for until ``reached``; raises Broken after so many seconds."""
        end = time.monotonic() + seconds
        while not (reached(self) and not self._running):
            if time.monotonic() > end:
                state = f"running={self._running}, asked={self._asked is not None}"
                raise Late(f"{what} never came ({state}); the page said: {self.text()[-600:]}")
            self._check()
            due = [fragment for fragment, (_, when) in self._polls.items() if when <= time.monotonic()]
            if due and not self._running:
                interval, _ = self._polls[due[0]]
                self._polls[due[0]] = interval, time.monotonic() + interval
                await self._send(fragment=due[0])
            await asyncio.sleep(QUIET_SECONDS)

    async def click(self, key: str) -> None:
        """Press the button of that key."""
        await self._run(trigger=self.button(key).id)

    async def download(self, label: str) -> bytes:
        """The file behind a download button, clicked again once where no answer comes, as a person would.

        Streamlit drops an answer that has not gone out yet when a run of the script begins.
        """
        try:
            url = await self._file_of(label)
        except Late:
            self.clicked_again += 1
            url = await self._file_of(label)
        return await asyncio.to_thread(_fetch, self.address.rstrip("/") + url, self.cookie)

    async def _file_of(self, label: str) -> str:
        button = next((each for each in self._all("download_button") if each.label == label), None)
        if button is None:
            raise Broken(f"there is no file {label}")
        return button.url or await self._deferred(button.deferred_file_id, FILE_SECONDS)

    def has(self, key: str) -> bool:
        return any(_is(each.id, key) for each in self._all("button"))

    def button(self, key: str) -> Any:
        found = next((each for each in self._all("button") if _is(each.id, key)), None)
        if found is None:
            raise Broken(f"there is no button {key}")
        return found

    def offers(self, label: str) -> bool:
        return any(each.label == label for each in self._all("download_button"))

    def text(self) -> str:
        return "\n".join(each.body for kind in TEXT for each in self._all(kind))

    def _all(self, kind: str) -> list[Any]:
        elements = [element for _, element in list(self._elements.values())]
        return [getattr(element, kind) for element in elements if element.WhichOneof("type") == kind]

    def _check(self) -> None:
        if self._reader is None or self._reader.done():
            raise Broken("the server closed the connection")
        if self._all("exception") or "This part of the page could not be drawn" in self.text():
            raise Broken(f"the page failed: {self.text()[-600:]} {self._all('exception')[:1]}")

    async def _run(self, trigger: str = "") -> None:
        await self.until(lambda tab: True, "the end of the run before", 300)
        began = time.monotonic()
        await self._send(trigger)
        await self.until(lambda tab: tab._asked is None, "the end of the run", 300)
        self.waits.append(time.monotonic() - began)

    async def _send(self, trigger: str = "", fragment: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_name = urlencode(self.query), self.page
        state.fragment_id, state.is_auto_rerun = fragment, bool(fragment)
        if trigger:
            widget = state.widget_states.widgets.add()
            widget.id, widget.trigger_value = trigger, True
        self._running = True
        if not fragment:
            self._asked = time.monotonic()
        assert self._socket is not None, "a tab is opened first"
        await self._socket.send(message.SerializeToString())

    async def _deferred(self, file_id: str, seconds: float) -> str:
        message = BackMsg()
        request = message.backend_operation_request
        request.request_id, request.session_id, request.deferred_file.file_id = (
            secrets.token_hex(8), self._session, file_id,
        )  # fmt: skip
        assert self._socket is not None, "a tab is opened first"
        await self._socket.send(message.SerializeToString())
        await self.until(lambda tab: request.request_id in tab._answers, "the file", seconds)
        answer = self._answers.pop(request.request_id)
        if answer.error_msg:
            raise Broken(f"the file could not be made: {answer.error_msg}")
        return answer.deferred_file.url

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for data in socket:
                if isinstance(data, bytes):
                    self._take(ForwardMsg.FromString(data))
        except ConnectionClosed:
            pass  # ``_check`` tells

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._begin(message)
        elif kind == "delta":
            self._draw(message)
        elif kind == "auto_rerun":
            poll = message.auto_rerun
            self._polls[poll.fragment_id] = poll.interval, time.monotonic() + poll.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._polls.pop(fragment, None)
        elif kind == "backend_operation_response":
            answer = message.backend_operation_response
            self._answers[answer.request_id] = answer
        elif kind == "script_finished":
            self._running = message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
            if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                self._asked = None
        elif kind == "page_info_changed":
            self.query = dict(parse_qsl(message.page_info_changed.query_string, keep_blank_values=True))

    def _begin(self, message: ForwardMsg) -> None:
        """A run begins: of some fragments, or of everything."""
        self._session = message.new_session.initialize.session_id or self._session
        self._running = True
        fragments = set(message.metadata.run.fragment_ids)
        if not fragments:
            self._elements, self._polls = {}, {}
        self._elements = {path: pair for path, pair in self._elements.items() if pair[0] not in fragments}

    def _draw(self, message: ForwardMsg) -> None:
        path, delta = tuple(message.metadata.delta_path), message.delta
        if delta.WhichOneof("type") == "new_element":
            self._elements[path] = delta.fragment_id, delta.new_element
        else:  # a block takes the place of what stood there and below
            self._elements = {each: pair for each, pair in self._elements.items() if each[: len(path)] != path}


def _is(widget_id: str, key: str) -> bool:
    return widget_id.endswith(f"-{key}")


def _fetch(url: str, cookie: str) -> bytes:
    request = urllib.request.Request(url, headers={"Cookie": f"{COOKIE}={cookie}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def is_ready(tab: Tab) -> bool:
    """The model and its prompts are there, and a search can be started."""
    return tab.has("start_search")
