"""A window of a real browser among many sessions: it visits, waits for the scores, walks the rooms, and comes again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE_MS = 300_000
REST_MS = 1_500


def visit(address: str, query: Mapping[str, str], end: float) -> int:
    """How many visits until ``end`` (time.monotonic); raises for an error of the page or in its console."""
    from playwright.sync_api import Error, sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise SystemExit("No chromium on this machine (Debian and Ubuntu: apt install chromium).")
    visits, errors = 0, []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("crash", lambda: errors.append("the window crashed"))
        while time.monotonic() < end:
            try:
                _walk(page, f"{address}?{urlencode(query)}", end)
            except Error as error:
                raise AssertionError(f"{error.message}\n{_seen(page)}") from error
            visits += 1
        browser.close()
    if errors:
        raise AssertionError(f"{len(errors)} errors in the browser: {errors[0]}")
    return visits


def _walk(page: Page, address: str, end: float) -> None:
    """Wait for the scores, then go from room to room."""
    page.goto(address)
    page.locator(".st-key-scores .js-plotly-plot").wait_for()
    for number in range(page.locator(".st-key-rooms a").count()):
        page.locator(".st-key-rooms a").nth(number).click()
        page.locator(".stApp[data-test-script-state=notRunning]").wait_for()
        page.wait_for_timeout(REST_MS)
        if page.get_by_text("This part of the page could not be drawn").count():
            raise AssertionError(f"a page failed: {page.url}")
        if time.monotonic() > end:
            break


def _seen(page: Page) -> str:
    """Where a window stood, how it was connected, and what it showed."""
    state = page.evaluate("""() => {
        const app = document.querySelector(".stApp")
        return [app?.dataset.testConnectionState, app?.dataset.testScriptState, document.body.innerText.slice(0, 400)]
    }""")
    return f"{page.url}: {state}"
