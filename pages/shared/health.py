"""Whether the server is well, in one line of JSON: asked for at /health, and told to the log while anybody is here.

It is not well (503) when jobs are no longer begun, or when what it should keep cannot be written.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from starlette.requests import Request
from starlette.responses import JSONResponse

from engine.serving.limits import limits
from engine.serving.log import event
from engine.store.home import home
from engine.version import VERSION
from pages.shared.made import latest

if TYPE_CHECKING:
    from pages.shared.background import Background

LOG_SECONDS = 60.0
WELL, UNWELL = "ok", "unwell"
READ_ONLY, WRITABLE, UNWRITABLE = "read-only", "writable", "not writable"

_began = time.monotonic()


def health(behind: Background | None, folder: Path | None = None) -> dict[str, Any]:
    """Plain values. ``behind`` is None before the first visit; ``folder`` is where runs are kept."""
    store = store_state(folder or home())
    at_work = behind is None or (behind.jobs.healthy and behind.glances.healthy)
    managers = () if behind is None else (behind.jobs, behind.glances)
    return {
        "status": WELL if at_work and store != UNWRITABLE else UNWELL,
        "version": VERSION,
        "uptime_s": round(time.monotonic() - _began, 1),
        "sessions": 0 if behind is None else behind.visitors.count(),
        "jobs_running": sum(len(jobs.running()) for jobs in managers),
        "jobs_waiting": sum(len(jobs.waiting()) for jobs in managers),
        "models": 0 if behind is None else behind.shelf.count(),
        "memory_mb": round(psutil.Process().memory_info().rss / 1e6, 1),
        "store": store,
    }


def store_state(folder: Path) -> str:
    """Whether a byte can be written to ``folder``, or where it would be made."""
    if not limits().keeps:
        return READ_ONLY
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError:  # read-only, full, or no folder
        return UNWRITABLE
    return WRITABLE


async def answer(request: Request) -> JSONResponse:
    told = health(latest())
    return JSONResponse(told, 200 if told["status"] == WELL else 503)


@asynccontextmanager
async def told_to_the_log(app: object) -> AsyncIterator[None]:
    """For as long as the server runs: a line a minute while anybody is here."""
    event("server began", version=VERSION)
    telling = asyncio.create_task(_tell())
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
        event("server ended")


async def _tell() -> None:
    while True:
        await asyncio.sleep(LOG_SECONDS)
        told = health(latest())
        if told["sessions"] or told["status"] != WELL:
            event("health", **told)
