"""What a server tells its keeper: one line an event, as text or as JSON.

1. ``event(name, **fields)`` writes a line of the logger "headlight": plain values, no prompt, no secret. What
   identifies a request or a visitor is written as a hash (``digest``).
2. ``HEADLIGHT_LOG=json`` makes every line of that logger, and of those below it, one JSON object; a traceback is one
   field of it.
3. ``configure`` sends them to stderr. Until somebody calls it, the engine tells nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from engine.errors import HeadlightError

VARIABLE = "HEADLIGHT_LOG"
FORMATS = ("text", "json")
LOGGER = "headlight"
FIELDS = "headlight_fields"
DIGITS = 10

Plain = str | int | float | bool | None


def event(name: str, level: int = logging.INFO, *, error: BaseException | str | None = None, **fields: Plain) -> None:
    """Tell that ``name`` has happened; fields that are None are left out. ``error``: an exception, or a traceback."""
    fields = {field: value for field, value in fields.items() if value is not None}
    info = (type(error), error, error.__traceback__) if isinstance(error, BaseException) else None
    if isinstance(error, str):
        fields["traceback"] = error
    logging.getLogger(LOGGER).log(level, name, exc_info=info, extra={FIELDS: fields})


def digest(value: object) -> str:
    """Ten hex digits that stand for ``value``: the same for the same request or visitor."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:DIGITS]


def configure(stream: TextIO | None = None) -> None:
    """Send what is told to ``stream`` (stderr) from now on; raises HeadlightError for an unknown format."""
    form = os.environ.get(VARIABLE, "").strip() or FORMATS[0]
    if form not in FORMATS:
        raise HeadlightError(
            f"Expected {' or '.join(FORMATS)} in {VARIABLE}, got {form[:40]!r}. Correct it or unset it."
        )
    logger = logging.getLogger(LOGGER)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class JsonLines(logging.Formatter):
    """``{"time": …, "level": "info", "event": "job started", …}``"""

    def format(self, record: logging.LogRecord) -> str:
        head = {"time": _time(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(head | _fields(self, record), ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """``2026-01-31T12:00:00.000Z info job started kind=search …``; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(self, record)
        traceback = fields.pop("traceback", None)
        words = [f"{name}={_word(value)}" for name, value in fields.items()]
        line = " ".join([_time(record), record.levelname.lower(), _one_line(record.getMessage()), *words])
        return f"{line}\n{traceback}" if traceback else line


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Plain]:
    fields = dict(getattr(record, FIELDS, {}))
    if record.exc_info:
        fields["traceback"] = formatter.formatException(record.exc_info)
    return fields


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _word(value: Plain) -> str:
    text = _one_line(f"{value:.3f}" if isinstance(value, float) else str(value))
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


def _one_line(text: str) -> str:
    """Nothing in a line may look like the next one."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
