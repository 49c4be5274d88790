"""The app, run without a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

APP = Path(__file__).parents[2] / "pages" / "main.py"
PATIENCE = 120.0  # seconds until a state that does not come is given up

OpenApp = Callable[..., AppTest]


@pytest.fixture
def open_app() -> Iterator[OpenApp]:
    """``open_app(room, **params)``: a page at a URL on the toy model, run once, with a job manager of its own."""
    from pages.shared.background import background

    background.clear()

    def opened(room: str = "explorer", **params: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=PATIENCE)
        address = "" if room == "explorer" else room.replace("_", "-")
        app._page_hash = calc_hash(address)  # a cold link: AppTest.switch_page asks for a run on another page first
        for name, value in {"model": "toy-induction", "task": "induction-random", "pairs": "4", **params}.items():
            app.query_params[name] = value
        return app.run()

    yield opened
    background().jobs.close(PATIENCE)
    background().glances.close(PATIENCE)
    background.clear()


def run_until(app: AppTest, reached: Callable[[AppTest], bool]) -> AppTest:
    """Run the app again and again, as its polling does, until ``reached``."""
    end = time.monotonic() + PATIENCE
    while not reached(app):
        assert time.monotonic() < end, f"never reached; the page said: {texts(app)}"
        time.sleep(0.05)
        app.run()
    return app


def texts(app: AppTest) -> str:
    """Everything written on the page, tags included."""
    html = [element.proto.body for element in app.get("html") if "<style>" not in element.proto.body]
    plain = [element.value for kind in ("markdown", "error", "warning", "info", "caption") for element in app.get(kind)]
    return "\n".join([*html, *plain])


def has_button(key: str) -> Callable[[AppTest], bool]:
    return lambda app: any(button.key == key for button in app.button)
