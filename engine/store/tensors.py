"""Tensors by name, with a few texts, as the bytes of a safetensors file and back."""

from __future__ import annotations

import json
from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from engine.errors import HeadlightError

LENGTH = 8  # bytes that say how long the header is


def packed(tensors: Mapping[str, Tensor], texts: Mapping[str, str] | None = None) -> bytes:
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, dict(texts or {}))


def unpacked(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the texts; raises HeadlightError for bytes that are no such file."""
    try:
        tensors = load(content)
        header = json.loads(content[LENGTH : LENGTH + int.from_bytes(content[:LENGTH], "little")])
    except (SafetensorError, ValueError, KeyError) as error:
        raise HeadlightError(f"Expected a safetensors file, got {len(content)} other bytes: {error}.") from error
    return tensors, header.get("__metadata__", {})
