"""Lines of the log: text or JSON, one an event, with a traceback in one field and nothing that looks like a line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from engine.errors import HeadlightError
from engine.serving import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is told in JSON, until the test is over."""
    logger = logging.getLogger(log.LOGGER)
    before = logger.handlers[:], logger.level, logger.propagate
    yield io.StringIO()
    logger.handlers[:], logger.level, logger.propagate = before


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_hold_time_level_event_and_fields(stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_LOG", "json")
    log.configure(stream)
    log.event("job done", kind="search", seconds=1.5, owner=None, text="a\nb “ü”")
    [line] = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "event": "job done", "kind": "search", "seconds": 1.5, "text": "a\nb “ü”"}


def test_a_traceback_is_one_field_of_one_line(stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_LOG", "json")
    log.configure(stream)
    try:
        raise KeyError("what")
    except KeyError as error:
        log.event("broke", logging.ERROR, error=error)
        logging.getLogger("headlight.pages").error("A page failed", exc_info=error)
    log.event("broke", logging.ERROR, error="Traceback\n  in text")
    told = lines(stream)
    assert [line["level"] for line in told] == ["error"] * 3
    assert all(line["traceback"].startswith("Traceback") for line in told)
    assert told[1]["event"] == "A page failed" and "KeyError: 'what'" in told[1]["traceback"]


def test_text_lines_stay_lines(stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADLIGHT_LOG", raising=False)
    log.configure(stream)
    log.event("model loaded", model="a\n2026 error forged", seconds=2.0, count=3)
    log.configure(stream)  # again: still one line an event
    log.event("broke", error="Traceback\n  here")
    first, second, third, fourth = stream.getvalue().splitlines()
    assert first.endswith('info model loaded model="a?2026 error forged" seconds=2.000 count=3')
    assert second.endswith("info broke") and (third, fourth) == ("Traceback", "  here")


def test_an_unknown_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_LOG", "xml")
    with pytest.raises(HeadlightError, match="Expected text or json in HEADLIGHT_LOG, got 'xml'"):
        log.configure(io.StringIO())


def test_a_digest_is_the_same_for_the_same_and_tells_nothing() -> None:
    assert log.digest(("search", "secret")) == log.digest(("search", "secret")) != log.digest(("search", "other"))
    assert len(log.digest("secret")) == 10 and "secret" not in log.digest("secret")
