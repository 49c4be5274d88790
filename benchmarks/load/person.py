"""One session: it explores, drags, searches, cancels and reloads, drawn from a fixed seed."""

from __future__ import annotations

import asyncio
import json
import random
import time

from benchmarks.load.tab import Broken, Tab, is_ready
from benchmarks.load.tally import Tally, requests
from benchmarks.models import BUNDLED, TOY

WHOLE_RUN = "Whole run as JSON"
PATIENCE = 1_800.0  # seconds until a session is given up as stuck: thirty may each have a search before it
ROOMS = ("prompts", "head-scores", "pruning", "circuit", "path-patching", "verification", "compare")


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
            self._tally.clicked_again += self._tab.clicked_again
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
