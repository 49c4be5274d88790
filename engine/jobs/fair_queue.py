"""What waits, in the order in which it will really begin: owners take turns.

1. Next comes the owner who was served longest ago, one never served before all others; among those, whoever has
   waited longest. His first entry is taken. So nobody waits for more than one entry of each other owner, however
   many they have put in.
2. An entry of several owners comes as soon as the first of them has his turn, and is a turn of each of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

REMEMBERED = 1000  # owners whose last turn is known; one forgotten counts as new

Entry = TypeVar("Entry")


class FairQueue(Generic[Entry]):
    """Guarded by whoever holds it, who also tells when the owners of an entry have changed."""

    def __init__(self, owners_of: Callable[[Entry], tuple[Hashable, ...]]) -> None:
        """``owners_of(entry)`` has at least one owner."""
        self._owners_of = owners_of
        self._waiting: list[Entry] = []  # in the order asked
        self._served: OrderedDict[Hashable, int] = OrderedDict()  # latest last
        self._turn = 0
        self._order: list[Entry] | None = None  # asked for at every poll of every page

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, entry: Entry) -> None:
        self._waiting.append(entry)
        self.changed()

    def changed(self) -> None:
        """Entries have other owners than before."""
        self._order = None

    def discard(self, unwanted: Callable[[Entry], bool]) -> None:
        """Let go of entries: they are nobody's turn."""
        wanted = [entry for entry in self._waiting if not unwanted(entry)]
        if len(wanted) < len(self._waiting):
            self._waiting = wanted
            self.changed()

    def take(self) -> Entry:
        """The next entry, which leaves the queue; IndexError if there is none."""
        entry = self.order()[0]
        self._waiting.remove(entry)
        self.changed()
        self._turn += 1
        for owner in self._owners_of(entry):
            self._served[owner] = self._turn
            self._served.move_to_end(owner)
        while len(self._served) > REMEMBERED:
            self._served.popitem(last=False)
        return entry

    def order(self) -> list[Entry]:
        """All of them as they will be taken if nothing else comes."""
        if self._order is None:
            self._order = self._foreseen()
        return list(self._order)

    def _foreseen(self) -> list[Entry]:
        waiting, served, turn = list(self._waiting), dict(self._served), self._turn
        order = []
        while waiting:
            entry = self._next(waiting, served)
            waiting.remove(entry)
            turn += 1
            served |= dict.fromkeys(self._owners_of(entry), turn)
            order.append(entry)
        return order

    def _next(self, waiting: list[Entry], served: Mapping[Hashable, int]) -> Entry:
        """``min`` keeps the first of equals: an owner's oldest entry, and the owner who has waited longest."""
        return min(waiting, key=lambda entry: min(served.get(owner, 0) for owner in self._owners_of(entry)))
