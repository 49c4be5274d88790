"""Many people at once on the real server: ``python -m benchmarks.load --sessions 30 --minutes 10``.

1. The app runs on a port of its own, with folders of its own. Sessions speak its protocol (tab.py), a few are windows
   of a real browser. Each person does one thing after another, drawn from a fixed seed: explore, drag, search, cancel,
   reload.
2. Every whole run that a session downloads is held, bit for bit, against the same run made alone by the engine, in a
   process of its own with the same number of threads. Left out is what tells of time and of who came first
   (``UNSTEADY``).
3. Counted: results compared and wrong, errors that a page showed, errors in the server's log, sessions that got stuck.
   Timed: runs of the script, from a visit to the scores, from a search's start to its end. Memory of the server is
   asked for at /health; its growth is the slope of a line through the samples after the warm-up.
4. All of it goes to ``benchmarks/results/load.json``; the exit status is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.app_server import running_app
from benchmarks.browser_visits import visit
from benchmarks.models import BUNDLED, TOY
from benchmarks.tab import Broken, Tab, is_ready

RESULT = Path(__file__).parent / "results" / "load.json"
WHOLE_RUN = "Whole run as JSON"
PATIENCE = 1_800.0  # seconds until a session is given up as stuck: thirty may each have a search before it
SAMPLE_SECONDS = 5.0
WARM_UP = 0.4  # of the time, before memory is looked at: models come, caches fill
BUNDLED_SHARE = 0.25  # of the sessions
ROOMS = ("prompts", "head-scores", "pruning", "circuit", "path-patching", "verification", "compare")
UNSTEADY = ("seconds", "spent", "cost", "predicted", "self_check", "made_with", "flops_per_second")
ONE_RUN = """
import json, sys
from benchmarks.load import lone_run
json.dump(lone_run(json.load(sys.stdin)), sys.stdout)
"""


@dataclass(frozen=True)
class Request:
    """What a session looks at. There are few of them, so that many ask for the same."""

    model: str
    task: str
    pairs: int
    seed: int

    def query(self, **more: object) -> dict[str, str]:
        return {name: str(value) for name, value in (asdict(self) | more).items()}


@dataclass
class Tally:
    """What all sessions together have seen. ``records`` are texts by request, each with how often it came."""

    done: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)
    to_scores: list[float] = field(default_factory=list)
    to_circuit: list[float] = field(default_factory=list)
    records: dict[Request, dict[str, int]] = field(default_factory=dict)
    memory: list[tuple[float, float]] = field(default_factory=list)
    most_waiting: int = 0
    most_sessions: int = 0

    def count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def keep(self, request: Request, record: bytes) -> None:
        text = steady(json.loads(record))
        found = self.records.setdefault(request, {})
        found[text] = found.get(text, 0) + 1


def steady(record: Any) -> str:
    """What must be the same in every run of the same request, as text."""
    return json.dumps(_steady(record), sort_keys=True)


def _steady(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _steady(each) for key, each in value.items() if key not in UNSTEADY}
    return [_steady(each) for each in value] if isinstance(value, list) else value


def requests(model: str) -> list[Request]:
    if model == TOY:
        return [Request(TOY, "induction-random", pairs, seed) for pairs in (4, 6) for seed in range(4)]
    return [Request(BUNDLED, task, 2, seed) for task in ("ioi", "pronouns") for seed in range(2)]


class Person:
    """One session and what it does until ``end`` (time.monotonic)."""

    def __init__(self, address: str, number: int, end: float, tally: Tally, bundled: bool) -> None:
        self._tab, self._tally, self._end = Tab(address), tally, end
        self._draw = random.Random(number)
        self._requests = requests(BUNDLED if bundled else TOY)
        self._request = self._draw.choice(self._requests)

    async def live(self) -> None:
        await asyncio.sleep(self._draw.uniform(0, 5))
        try:
            while time.monotonic() < self._end:
                self._request = self._draw.choice(self._requests)
                act = self._draw.choices(
                    [self._explore, self._drag, self._search, self._cancel, self._reload], [3, 3, 3, 1, 1]
                )[0]
                await act()
                self._tally.count(act.__name__.strip("_"))
                self._tally.runs += self._tab.waits
                self._tab.waits.clear()
                await asyncio.sleep(self._draw.uniform(0.5, 3))
        except Exception as error:  # one that failed is counted, the others go on
            self._tally.errors.append(f"{type(error).__name__}: {error} ({self._request})")
        finally:
            await self._tab.close()

    async def _look(self) -> None:
        began = time.monotonic()
        await self._tab.open("", **self._request.query())
        await self._tab.until(_settled, "the scores", PATIENCE)
        self._tally.to_scores.append(time.monotonic() - began)

    async def _explore(self) -> None:
        await self._look()
        for room in self._draw.sample(ROOMS, 2):
            await self._tab.open(room, **self._request.query())
            await asyncio.sleep(self._draw.uniform(0.2, 1))

    async def _drag(self) -> None:
        """Where the slider of the score map is let go, its value goes to the server by the address."""
        await self._look()
        for _ in range(4):
            await self._tab.open("", **self._request.query(sparsity=round(self._draw.uniform(0.1, 0.95), 2)))
            await asyncio.sleep(self._draw.uniform(0.1, 0.5))

    async def _search(self) -> None:
        await self._look()
        began = time.monotonic()
        if not self._tab.offers(WHOLE_RUN) and self._tab.has("start_search"):
            await self._tab.click("start_search")
        await self._found(began)

    async def _cancel(self) -> None:
        """Alone it stops; it goes on if somebody else waits for it, and either way the page lives."""
        await self._look()
        if self._tab.has("start_search"):
            await self._tab.click("start_search")
            await asyncio.sleep(self._draw.uniform(0, 2))
        if self._tab.has("cancel_search"):
            await self._tab.click("cancel_search")
        await self._tab.until(_settled, "the page after a cancel", PATIENCE)

    async def _reload(self) -> None:
        """Close the tab in the middle of a search, open the same address again, and find it."""
        await self._look()
        began = time.monotonic()
        if not self._tab.offers(WHOLE_RUN) and self._tab.has("start_search"):
            await self._tab.click("start_search")
        await self._tab.close()
        await asyncio.sleep(self._draw.uniform(0.1, 1))
        await self._tab.open("", **self._request.query())
        await self._found(began)

    async def _found(self, began: float) -> None:
        """Wait for the end of the search; one that somebody cancelled is started again."""
        while True:
            await self._tab.until(lambda tab: tab.offers(WHOLE_RUN) or tab.has("start_search"), "the circuit", PATIENCE)
            if self._tab.offers(WHOLE_RUN):
                record = await self._tab.download(WHOLE_RUN)
                if json.loads(record)["complete"]:
                    break
            await self._tab.click("start_search")
        self._tally.to_circuit.append(time.monotonic() - began)
        self._tally.keep(self._request, record)


def _settled(tab: Tab) -> bool:
    """The scores are there, and whatever search there is has ended; what could not be got ready is an error."""
    if tab.has("again_ready"):
        raise Broken(f"the model could not be got ready: {tab.text()[-300:]}")
    return is_ready(tab) or tab.offers(WHOLE_RUN) or tab.has("cancel_search")


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


def lone_run(query: Mapping[str, str]) -> Any:
    """The record of the run that a page at this address asks for, made by the engine alone."""
    from engine.models.loading import load_model
    from engine.pipeline import discover
    from engine.progress import Watcher
    from engine.record import discovery_json
    from pages.shared.link import read_view

    view, problems = read_view(query, {})
    assert not problems, problems
    model = load_model(view.model)
    return discovery_json(model, discover(model, view.settings(), Watcher()))


def compare(tally: Tally) -> tuple[int, list[str]]:
    """How many downloaded runs were compared, and a sentence for each kind that was not as a lone run."""
    compared, wrong = 0, []
    for request, found in tally.records.items():
        alone_in_a_process = [sys.executable, "-c", ONE_RUN]
        ran = subprocess.run(
            alone_in_a_process, input=json.dumps(request.query()), capture_output=True, text=True, check=True
        )
        alone = steady(json.loads(ran.stdout))
        for text, times in found.items():
            compared += times
            if text != alone:
                wrong.append(f"{times} of {request}: {', '.join(_differing(json.loads(text), json.loads(alone)))}")
    return compared, wrong


def _differing(one: dict[str, Any], other: dict[str, Any]) -> Iterable[str]:
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def errors_in(log: Path) -> list[str]:
    """Lines of the server's log that tell of an error, or are no JSON but Streamlit's greeting."""
    found = []
    for line in log.read_text("utf-8").splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            if any(word in line for word in ("Error", "Exception", "Traceback", "WARNING")):
                found.append(line)
            continue
        if isinstance(told, dict) and told.get("level") in ("error", "critical"):
            found.append(line)
    return found


def growth(memory: list[tuple[float, float]]) -> float:
    """Megabytes a minute after the warm-up; NaN from fewer than three samples."""
    late = [sample for sample in memory if sample[0] >= WARM_UP * memory[-1][0]] if memory else []
    if len(late) < 3:
        return float("nan")
    seconds, megabytes = zip(*late, strict=True)
    return 60 * float(np.polyfit(seconds, megabytes, 1)[0])


def report(tally: Tally, options: argparse.Namespace, seconds: float, log: Path) -> dict[str, Any]:
    compared, wrong = compare(tally)
    return {
        "sessions": options.sessions, "browsers": options.browsers, "minutes": options.minutes,
        "threads": options.threads, "seconds": round(seconds, 1), "done": tally.done,
        "results_compared": compared, "requests": len(tally.records), "wrong_results": wrong,
        "page_errors": tally.errors, "log_errors": errors_in(log),
        "most_sessions": tally.most_sessions, "most_waiting": tally.most_waiting,
        "script_run_s": spread(tally.runs), "visit_to_scores_s": spread(tally.to_scores),
        "search_to_circuit_s": spread(tally.to_circuit),
        "memory_mb": {
            "first": tally.memory[0][1], "last": tally.memory[-1][1], "most": max(mb for _, mb in tally.memory),
            "growth_per_minute": round(growth(tally.memory), 3),
            "samples": [(round(at), mb) for at, mb in tally.memory],
        },
    }  # fmt: skip


def spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    shares = {"median": 50, "p95": 95, "most": 100}
    return {"n": len(values)} | {name: round(float(np.percentile(values, at)), 3) for name, at in shares.items()}


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
