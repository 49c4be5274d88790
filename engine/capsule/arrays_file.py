"""Matrices from strangers: a safetensors file checked before it is loaded.

1. Header: JSON of bounded size; every entry a matrix of a dtype that a record's matrices have.
2. The tensors fill the rest of the file exactly, one after the other: none overlaps, none is missing.
3. No infinity: a record has none. (NaN is "not measured".)
"""

from __future__ import annotations

import math
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from engine.capsule.json_text import read_json
from engine.errors import HeadlightError
from engine.store.arrays import Arrays

LENGTH_BYTES = 8  # of the header's length, which comes first
DTYPES = {"BOOL": 1, "I64": 8, "F32": 4, "F64": 8}  # of engine/store/arrays.py, with their bytes
MAX_CELLS = 5_000_000
NAME = "The member arrays.safetensors"


def arrays_bytes(arrays: Arrays) -> bytes:
    """The same arrays give the same bytes."""
    return save({name: arrays[name].contiguous() for name in sorted(arrays)})


def read_arrays(content: bytes, way_on: str) -> Arrays:
    """The inverse; raises HeadlightError that ends in ``way_on``."""
    _check_header(content, way_on)
    try:
        arrays = load(content)
    except SafetensorError as error:
        raise HeadlightError(f"{NAME} cannot be read ({error}). {way_on}") from error
    for name, array in arrays.items():
        if array.dtype.is_floating_point and bool(torch.isinf(array).any()):
            raise HeadlightError(f"{NAME} has an infinite number in {name[:60]!r}. {way_on}")
    return arrays


def _check_header(content: bytes, way_on: str) -> None:
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    if len(content) < LENGTH_BYTES or length > len(content) - LENGTH_BYTES:
        raise HeadlightError(f"{NAME} is cut off. {way_on}")
    header = read_json(content[LENGTH_BYTES : LENGTH_BYTES + length], f"The header of {NAME.lower()}", way_on)
    places = [_place(entry) for entry in header.values()] if isinstance(header, dict) else [None]
    if None in places:
        raise HeadlightError(
            f"{NAME} holds something that is no matrix of {', '.join(DTYPES)}, or says a wrong place for it. {way_on}"
        )
    ordered = sorted(place for place in places if place is not None)
    ends = [0, *(end for _, end, _ in ordered)]
    if [begin for begin, _, _ in ordered] != ends[:-1] or ends[-1] != len(content) - LENGTH_BYTES - length:
        raise HeadlightError(f"{NAME} has matrices that overlap, or bytes of none. {way_on}")
    if sum(cells for _, _, cells in ordered) > MAX_CELLS:
        raise HeadlightError(f"{NAME} has more than {MAX_CELLS:,} numbers; no run has as many. {way_on}")


def _place(entry: Any) -> tuple[int, int, int] | None:
    """Where a matrix begins and ends, and its cells; None if the entry is not what a record's matrix has."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return None
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in tuple(DTYPES) or not _whole(shape) or not _whole(offsets) or min(shape) < 1:
        return None
    (begin, end), cells = offsets, math.prod(shape)
    return (begin, end, cells) if end - begin == cells * DTYPES[dtype] else None


def _whole(pair: Any) -> bool:
    """Two whole numbers, none below 0."""
    return isinstance(pair, list) and len(pair) == 2 and all(type(each) is int and each >= 0 for each in pair)
