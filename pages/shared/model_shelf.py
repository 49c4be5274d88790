"""The models in memory, shared by everyone who visits."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from engine.progress import Watcher

if TYPE_CHECKING:
    from engine.models.model import Model

LOADING = "loading the model"


class ModelShelf:
    """The models used last. What is pushed off is let go of once no job holds it any more."""

    def __init__(self, room: int = 2) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._models: OrderedDict[str, Model] = OrderedDict()

    def take(self, name: str, device: str, watcher: Watcher) -> Model:
        """The model, loaded if it is not among the last used; raises HeadlightError like load_model."""
        from engine.models.loading import load_model

        with self._lock:
            if name not in self._models:
                watcher.step(LOADING, 0, 1)
                model = load_model(name, device, announce=lambda text: watcher.report(_stage_name(text), 0, 1))
                watcher.step(LOADING, 1, 1)
                self._models[name] = model
            self._models.move_to_end(name)
            while len(self._models) > self._room:
                self._models.popitem(last=False)
            return self._models[name]

    def holds(self, name: str) -> bool:
        with self._lock:
            return name in self._models

    def at_hand(self, name: str) -> Model | None:
        """The model if it is in memory; asked without the lock, which is held for seconds while one loads."""
        return self._models.get(name)


def _stage_name(announcement: str) -> str:
    """``"Loading x …"`` as the name of a stage."""
    text = announcement.rstrip(" .…")
    return text[:1].lower() + text[1:]
