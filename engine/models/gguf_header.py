"""The facts at the start of a .gguf file, read in a moment and before anything heavy.

Layout (github.com/ggml-org/ggml, docs/gguf.md): magic, version, number of tensors, number of metadata
pairs; the pairs; one record a tensor (name, dimensions, type, offset); padding; the data. So the header
tells the architecture, the number of parameters and how long the file must be.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from engine.errors import HeadlightError

VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MOST_DIMENSIONS = 8  # ggml has 4; without a limit, their product could be made to take minutes
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


@dataclass(frozen=True)
class GgufHeader:
    """``bytes``: how long the whole file is by its own account."""

    architecture: str
    parameters: int
    bytes: int


def read_header(path: Path) -> GgufHeader:
    """Read and check the header; raises HeadlightError for a file that is not GGUF, damaged or cut off."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = _Cursor(data).header()
    except (OSError, ValueError, KeyError, TypeError, OverflowError, struct.error) as error:
        raise HeadlightError(
            f"{path} is not a readable GGUF file: {error}. If it was downloaded, fetch it again."
        ) from error
    actual = path.stat().st_size
    if actual < header.bytes:
        raise HeadlightError(
            f"{path} is cut off: its header describes {header.bytes:,} bytes, but it has {actual:,}. Fetch it again."
        )
    return header


class _Cursor:
    """A position in the file that moves forward with each read."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.position = data, 0

    def take(self, layout: str) -> tuple:
        values = struct.unpack_from(layout, self.data, self.position)
        self.position += struct.calcsize(layout)
        return values

    def text(self) -> str:
        (length,) = self.take("<Q")
        raw = self.data[self.position : self.position + length]
        self.position += length
        return raw.decode("utf-8")

    def value(self) -> object:
        """One metadata value; arrays (the vocabulary) are stepped over and read as None."""
        (kind,) = self.take("<I")
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.take(_SCALARS[kind])[0]
        element, count = self.take("<IQ")
        if element in _SCALARS:
            self.position += count * struct.calcsize(_SCALARS[element])
            return None
        if element != _STRING:
            raise ValueError(f"an array of type {element} in its metadata")
        for _ in range(count):
            (length,) = self.take("<Q")
            self.position += length
        return None

    def tensor(self) -> tuple[int, int]:
        """One tensor's record: its number of elements, and where its data end in the data section."""
        self.text()
        (dimensions,) = self.take("<I")
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        elements = prod(self.take(f"<{dimensions}Q"))
        kind, offset = self.take("<IQ")
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        return elements, offset + elements // block * block_bytes

    def header(self) -> GgufHeader:
        magic, version, n_tensors, n_pairs = self.take("<4sIQQ")
        if magic != b"GGUF":
            raise ValueError("it does not begin with the letters GGUF")
        if version not in VERSIONS:
            raise ValueError(f"its version is {version}, readable are {VERSIONS[0]} and {VERSIONS[1]}")
        metadata = {self.text(): self.value() for _ in range(n_pairs)}
        tensors = [self.tensor() for _ in range(n_tensors)]
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"its alignment is {alignment}")
        start = -(-self.position // alignment) * alignment
        return GgufHeader(
            architecture=str(metadata["general.architecture"]),
            parameters=sum(elements for elements, _ in tensors),
            bytes=start + max((end for _, end in tensors), default=0),
        )
