"""A unit's result as bytes: one safetensors block whose header carries the JSON. Nothing is pickled."""

from __future__ import annotations

import json
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from engine.errors import HeadlightError
from engine.notes.journal import Chunk
from engine.record.json_values import dumps

VALUES = "values"
LENGTH_BYTES = 8  # of the header, little endian, before it (the format of safetensors)


def to_bytes(chunk: Chunk) -> bytes:
    """``from_bytes`` gives back the same values and the same bits of every tensor."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in chunk.tensors.items()}
    return save(tensors, metadata={VALUES: dumps(chunk.values)})


def from_bytes(data: bytes) -> Chunk:
    """Raises HeadlightError for bytes that ``to_bytes`` did not write."""
    try:
        return Chunk(json.loads(_header(data)["__metadata__"][VALUES]), load(data))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise HeadlightError(
            f"A worker's result cannot be read ({error}). Install the same version of Headlight on every machine."
        ) from error


def _header(data: bytes) -> Any:
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    return json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length])
