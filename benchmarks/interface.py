"""How long a person waits for the app: reruns, visits and drags in a real browser, on a server of its own.

1. Everything is warm: the model is loaded, its curves and one search are done.
2. A rerun is a click on the link of the page that is open, a visit a click on it from another page. Both last
   from the click until the server's word that the script has ended; what came over the wire meanwhile is counted.
3. A drag moves the slider of the Explorer's score map in steps of two pixels; what counts is how long the
   browser takes from one frame to the next.

Needs Chromium and playwright (``make dev``).
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.app_server import running_app
from benchmarks.models import BUNDLED, QUICK_TASK, TOY, gpt2_like

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
PAIRS = 8
LARGE = 28  # layers of as many heads: the shape of a 7B model
PATIENCE_MS = 900_000
DRAG_MOVES, DRAG_PIXELS = 90, 2
POLL_MS = 2  # how often what came over the wire is looked at
REST_MS = 700  # charts draw themselves, and what they send back runs the script again
CLICK = """([room]) => {
    [...document.querySelectorAll('.st-key-rooms a')].find((each) => each.textContent.includes(room)).click();
}"""
FRAMES = """() => {
    window.frames_ms = [];
    let before = performance.now();
    const next = (now) => { window.frames_ms.push(now - before); before = now; requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""


@dataclass(frozen=True)
class Wait:
    """Of one page: milliseconds of reruns and of visits, and kilobytes received in each."""

    room: str
    model: str
    rerun: list[float]
    visit: list[float]
    rerun_kb: list[float]
    visit_kb: list[float]


@dataclass(frozen=True)
class Drag:
    """Milliseconds between frames while the slider moves."""

    heads: int
    frames: list[float]


def measure(repeats: int, quick: bool) -> Iterator[Wait | Drag]:
    model, task = (TOY, QUICK_TASK) if quick else (BUNDLED, "ioi")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder) / "server.log") as address,
        _page() as page,
    ):
        wire = Wire(page)
        _open(page, address, model, task)
        page.get_by_role("button", name="Find the circuit").click()
        page.locator(".st-key-circuit .js-plotly-plot").wait_for()
        _settle(page)
        yield from (_waits(page, room, model, wire, repeats) for room in _rooms(page))
        yield _drag(page, address, model, task)
        if not quick:
            gpt2 = gpt2_like(LARGE, LARGE, d_head=2, vocab=_toy_vocabulary())
            large = f"{folder}/large"
            gpt2.hf_model.save_pretrained(large)
            gpt2.tokenizer.save_pretrained(large)
            yield _drag(page, address, large, QUICK_TASK)


def _toy_vocabulary() -> int:
    from engine.models.loading import load_model

    return load_model(TOY).vocab_size


@contextmanager
def _page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise SystemExit("No chromium on this machine (Debian and Ubuntu: apt install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


class Wire:
    """What the server has sent: kilobytes, and when it last said that a script run has ended."""

    def __init__(self, page: Page) -> None:
        self.kilobytes, self.ended = 0.0, 0.0
        page.on("websocket", lambda socket: socket.on("framereceived", self._received))

    def _received(self, frame: str | bytes) -> None:
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        self.kilobytes += len(frame) / 1000
        if isinstance(frame, bytes) and ForwardMsg.FromString(frame).WhichOneof("type") == "script_finished":
            self.ended = time.perf_counter()


def _open(page: Page, address: str, model: str, task: str) -> None:
    """The Explorer with its curves and everything else it fetches by itself."""
    page.goto(f"{address}?model={model}&task={task}&pairs={PAIRS}")
    page.get_by_role("button", name="First cliff").wait_for()
    page.locator(".st-key-panel_curve").wait_for(state="detached")
    page.locator(".st-key-scores .slider-grip-rect").wait_for()
    _settle(page)


def _settle(page: Page) -> None:
    page.locator(".stApp[data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(1500)


def _rooms(page: Page) -> list[str]:
    return page.locator(".st-key-rooms a").all_inner_texts()


def _waits(page: Page, room: str, model: str, wire: Wire, repeats: int) -> Wait:
    label = room.splitlines()[-1]  # after the icon's own text
    other = "Prompts" if label != "Prompts" else "Explorer"
    reruns, visits = [], []
    _click(page, label, wire)  # the first visit may compute something
    for _ in range(repeats):
        reruns.append(_click(page, label, wire))
        _click(page, other, wire)
        visits.append(_click(page, label, wire))
    (rerun, rerun_kb), (visit, visit_kb) = zip(*reruns, strict=True), zip(*visits, strict=True)
    return Wait(label, model, list(rerun), list(visit), list(rerun_kb), list(visit_kb))


def _click(page: Page, label: str, wire: Wire) -> tuple[float, float]:
    """Milliseconds until the script has ended, and kilobytes received until the page is at rest."""
    kilobytes, began = wire.kilobytes, time.perf_counter()
    page.evaluate(CLICK, [label])
    while wire.ended < began:
        page.wait_for_timeout(POLL_MS)
    took = 1000 * (wire.ended - began)
    page.wait_for_timeout(REST_MS)
    return took, wire.kilobytes - kilobytes


def _drag(page: Page, address: str, model: str, task: str) -> Drag:
    _open(page, address, model, task)
    grip = page.locator(".st-key-scores .slider-grip-rect")
    grip.scroll_into_view_if_needed()
    box: Any = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    for moved in range(1, DRAG_MOVES + 1):
        page.mouse.move(x - DRAG_PIXELS * moved, y)
    frames = page.evaluate("() => window.frames_ms")
    page.mouse.up()
    rings = "key => document.querySelector(key)._fullData.find((each) => each.name === 'rings').x.length"
    return Drag(page.evaluate(rings, ".st-key-scores .js-plotly-plot"), frames)
