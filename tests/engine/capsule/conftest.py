from __future__ import annotations

import io
import json
import zipfile

import pytest

from engine.capsule.writing import capsule_bytes
from engine.discovery import Discovery
from engine.pipeline import discover
from engine.progress import Watcher
from engine.record import writing as record
from engine.record.json_values import Json, dumps
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


@pytest.fixture(scope="module")
def good(toy_record):
    return capsule_bytes(toy_record, {"evaluation": {"main": {"value": 1}}}, {"name": "x"}, created=0)


@pytest.fixture
def members(good):
    with zipfile.ZipFile(io.BytesIO(good)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}
