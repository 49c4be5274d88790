"""A real browser on a server of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from benchmarks.app_server import running_app

ROOT = Path(__file__).parents[2]
REQUIRE = "HEADLIGHT_REQUIRE_BROWSER"
PATIENCE_MS = 120_000  # until something that must come is given up; generous, for busy machines
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's chromium; skips where there is none, unless HEADLIGHT_REQUIRE_BROWSER=1."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "no chromium on this machine (Debian and Ubuntu: apt install chromium)"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE}=1, but {reason}")
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of an app server started for one test, and ended with it."""
    log = tmp_path / "server.log"
    with running_app(log) as address:
        yield address
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:  # after the server, so gone before it
    """A fresh tab. The test fails if it logged an error or asked anyone but its server for anything."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.extend(_complaint(message)))
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    page.on("request", lambda request: complaints.extend(_foreign(request.url)))
    yield page
    assert "Traceback" not in page.inner_text("body")
    context.close()
    assert not complaints, "\n".join(complaints)


def _complaint(message: ConsoleMessage) -> list[str]:
    # On a cold deep link Streamlit looks for its server under the page's address first.
    probing = "/_stcore/" in message.location["url"] and "404" in message.text
    return [f"console: {message.text}"] if message.type == "error" and not probing else []


def _foreign(url: str) -> list[str]:
    inside = url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
    return [] if inside else [f"asked for {url}"]
