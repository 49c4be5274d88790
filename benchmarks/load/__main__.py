"""Many people at once on the real server: ``python -m benchmarks.load --sessions 30 --minutes 10``.

1. The app runs on a port of its own, with folders of its own. Sessions speak its protocol (tab.py), a few are windows
   of a real browser. Each person does one thing after another, drawn from a fixed seed: explore, drag, search, cancel,
   reload.
2. Every whole run that a session downloads is held, bit for bit, against the same run made alone by the engine, in a
   process of its own with the same number of threads. Left out is what tells of time and of who came first
   (tally.py).
3. Counted: results compared and wrong, errors that a page showed, errors in the server's log, sessions that got stuck,
   downloads that were clicked twice.
   Timed: runs of the script, from a visit to the scores, from a search's start to its end. Memory of the server is
   asked for at /health; its growth is the slope of a line through the samples after the warm-up.
4. All of it goes to ``benchmarks/results/load.json``; the exit status is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.app_server import running_app
from benchmarks.load.browser_visits import visit
from benchmarks.load.person import Person
from benchmarks.load.report import report
from benchmarks.load.tally import Tally, requests
from benchmarks.models import TOY

RESULT = Path(__file__).parents[1] / "results" / "load.json"
SAMPLE_SECONDS = 5.0
BUNDLED_SHARE = 0.25  # of the sessions


async def crowd(address: str, sessions: int, minutes: float, browsers: int, tally: Tally) -> None:
    """All of them at once, until the time is over and each has ended what it was at."""
    end = time.monotonic() + 60 * minutes
    bundled = round(BUNDLED_SHARE * sessions)
    people = [Person(address, number, end, tally, number < bundled) for number in range(sessions - browsers)]
    windows = [asyncio.to_thread(visit, address, requests(TOY)[number % 8].query(), end) for number in range(browsers)]
    watching = asyncio.create_task(_watch(address, tally))
    results = await asyncio.gather(*(person.live() for person in people), *windows, return_exceptions=True)
    watching.cancel()
    tally.errors += [f"{type(result).__name__}: {result}" for result in results if isinstance(result, BaseException)]
    for visits in results:
        if isinstance(visits, int):
            tally.done["browser visit"] = tally.done.get("browser visit", 0) + visits


async def _watch(address: str, tally: Tally) -> None:
    began = time.monotonic()
    while True:
        health = await asyncio.to_thread(_health, address)
        tally.memory.append((time.monotonic() - began, health["memory_mb"]))
        tally.most_waiting = max(tally.most_waiting, health["jobs_waiting"])
        tally.most_sessions = max(tally.most_sessions, health["sessions"])
        if health["status"] != "ok":
            tally.errors.append(f"unwell: {health}")
        await asyncio.sleep(SAMPLE_SECONDS)


def _health(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}health", timeout=60) as answer:
        return json.load(answer)


def main() -> int:
    options = _options()
    os.environ |= {"HEADLIGHT_LOG": "json", "HEADLIGHT_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEADLIGHT_HOME"] = f"{folder}/home"
        log, began = Path(folder) / "server.log", time.monotonic()
        with running_app(log) as address:
            asyncio.run(crowd(address, options.sessions, options.minutes, options.browsers, tally))
        found = report(tally, options, time.monotonic() - began, log)
    if not options.quick:
        RESULT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    shown = found | {"memory_mb": {key: value for key, value in found["memory_mb"].items() if key != "samples"}}
    print(json.dumps(shown, indent=1))
    return int(bool(found["wrong_results"] or found["page_errors"] or found["log_errors"]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--browsers", type=int, default=2, help="of the sessions, in windows of a real browser")
    parser.add_argument("--threads", type=int, default=2, help="of torch, in the server and in the lone runs")
    parser.add_argument("--quick", action="store_true", help="to try the code: shown, not written")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
