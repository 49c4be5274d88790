"""The journal on disk: a safetensors file a chunk, its values as JSON in the header.

1. A chunk is on the disk once ``write`` returns, and it is all there or not at all.
2. Its name and a hash of all it holds stand in the header: a chunk that does not fit them, for whatever reason, counts
   as not there and is done again.
3. A chunk that cannot be written stops no run: the work goes on, ``problem`` says what was not kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.machine.atomic import write_bytes
from engine.notes.journal import Chunk, Journal
from engine.store.file_names import file_name
from engine.store.files import own_folder, read_file
from engine.store.tensors import packed, unpacked

LOG = logging.getLogger("headlight.store")
ENDING = ".safetensors"


class FolderJournal(Journal):
    """Keeps chunks in ``folder``, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problem: OSError | None = None

    def read(self, name: str) -> Chunk | None:
        path = self._path(name)
        try:
            return _chunk(name, read_file(path))
        except FileNotFoundError:
            return None
        except (OSError, HeadlightError) as error:
            LOG.warning("The chunk %s is left out and done again: %s", path, error)
            return None

    def write(self, name: str, chunk: Chunk) -> None:
        path, content = self._path(name), _bytes(name, chunk)
        try:
            write_bytes(content, own_folder(self._folder) / path.name)
        except OSError as error:
            self.problem = error
            LOG.warning("The chunk %s is not kept: %s", path, error)

    def _path(self, name: str) -> Path:
        return self._folder / file_name(name, ENDING)


def _bytes(name: str, chunk: Chunk) -> bytes:
    values = json.dumps(chunk.values)  # read back by this program alone, so NaN may stand in it
    return packed(chunk.tensors, {"name": name, "values": values, "sha256": _hash(name, values, chunk.tensors)})


def _chunk(name: str, content: bytes) -> Chunk:
    tensors, texts = unpacked(content)
    values = texts.get("values", "")
    if texts.get("name") != name or texts.get("sha256") != _hash(name, values, tensors):
        raise HeadlightError("it is not what was written")
    return Chunk(json.loads(values), tensors)


def _hash(name: str, values: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps([name, values]).encode())
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {list(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
