"""The models in memory, shared by everyone who visits.

1. As many as ``HEADLIGHT_MODELS`` says, those being loaded included. For another one, the least recently used that no
   job in work needs makes room; if all are needed, the job waits until one is not.
2. If memory is short, more of them make room.
3. Each model has a lock for its loading, so that a slow download holds up nobody but those who want that model. Who
   waits here stands aside: others use the machine meanwhile.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from engine.errors import NotEnoughMemory
from engine.progress import Watcher
from engine.serving.limits import check_model, check_size, limits

if TYPE_CHECKING:
    from engine.models.model import Model

LOADING, WAITING = "loading the model", "waiting for room for another model"
POLL_SECONDS = 0.1

Place = tuple[str, str]  # a model's name, and the device it is on
Tell = Callable[[str, str, float | None], None]


class ModelShelf:
    """The models used last. What is pushed off is let go of at once: no job in work holds it."""

    def __init__(
        self,
        in_use: Callable[[], Collection[str]] = tuple,
        evicted: Callable[[str], None] = lambda name: None,
        tell: Tell = lambda what, name, seconds: None,
    ) -> None:
        """``in_use()`` names the models of jobs in work. ``evicted(name)`` lets go of what else holds that model."""
        self._in_use, self._evicted, self._tell = in_use, evicted, tell
        self._lock = threading.Lock()
        self._models: OrderedDict[Place, Model] = OrderedDict()  # least recently used first
        self._coming: set[Place] = set()
        self._loading: dict[Place, threading.Lock] = {}

    def take(self, name: str, device: str, watcher: Watcher) -> Model:
        """The model, loaded if it is not among the last used; raises HeadlightError like load_model.

        Also for a model that is not offered here, or has too many heads.
        """
        check_model(name, limits())
        place = (name, device)
        with watcher.aside(), self._lock_of(place):
            model = self._used(place)
            if model is None:
                self._make_room(place, watcher)
                try:
                    model = self._load(place, watcher)
                finally:
                    with self._lock:
                        self._coming.discard(place)
        return model

    def holds(self, name: str) -> bool:
        return self.at_hand(name) is not None

    def at_hand(self, name: str) -> Model | None:
        """The model if it is in memory, wherever."""
        with self._lock:
            return next((model for place, model in self._models.items() if place[0] == name), None)

    def count(self) -> int:
        """Models in memory."""
        with self._lock:
            return len(self._models)

    def _lock_of(self, place: Place) -> threading.Lock:
        with self._lock:
            return self._loading.setdefault(place, threading.Lock())

    def _used(self, place: Place) -> Model | None:
        with self._lock:
            if place in self._models:
                self._models.move_to_end(place)
            return self._models.get(place)

    def _make_room(self, place: Place, watcher: Watcher) -> None:
        """Keep a place free for a model that is about to come."""
        while not self._reserved(place):
            if not self._evict():
                watcher.step(WAITING, 0, 1)
                time.sleep(POLL_SECONDS)

    def _reserved(self, place: Place) -> bool:
        with self._lock:
            if len(self._models) + len(self._coming) >= limits().models:
                return False
            self._coming.add(place)
            return True

    def _evict(self) -> bool:
        """Let go of the least recently used model that no job in work needs; False if there is none."""
        needed = self._in_use()
        with self._lock:
            place = next((place for place in self._models if place[0] not in needed), None)
            if place is None:
                return False
            del self._models[place]
        self._evicted(place[0])
        gc.collect()  # models refer to themselves, and memory is what this is about
        self._tell("evicted", place[0], None)
        return True

    def _load(self, place: Place, watcher: Watcher) -> Model:
        from engine.models.loading import load_model

        name, device = place
        watcher.step(LOADING, 0, 1)
        began = time.perf_counter()
        while True:
            try:
                model = load_model(name, device, announce=lambda text: watcher.report(_stage_name(text), 0, 1))
                break
            except NotEnoughMemory:
                if not self._evict():
                    raise
        check_size(name, model.n_layers, model.n_heads, limits())
        watcher.step(LOADING, 1, 1)
        with self._lock:
            self._models[place] = model
        self._tell("loaded", name, time.perf_counter() - began)
        return model


def _stage_name(announcement: str) -> str:
    """``"Loading x …"`` as the name of a stage."""
    text = announcement.rstrip(" .…")
    return text[:1].lower() + text[1:]
