from __future__ import annotations

import json

import pytest

from engine import record
from engine.discovery import Discovery
from engine.json_values import Json, dumps
from engine.pipeline import discover
from engine.progress import Watcher
from engine.settings import Settings

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8)


@pytest.fixture(scope="session")
def toy_found(toy_model) -> Discovery:
    """A whole run on the toy model."""
    return discover(toy_model, SETTINGS, Watcher())


@pytest.fixture(scope="session")
def toy_record(toy_model, toy_found) -> Json:
    """Its record, as read from a file: never change it."""
    return json.loads(dumps(record.discovery_json(toy_model, toy_found)))
