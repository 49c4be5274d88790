"""Capsules made by hand, to be refused."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import pytest

from engine.capsule.reading import read_capsule
from engine.errors import HeadlightError


def packed(members, info=None, /, **manifest_changes) -> bytes:
    """A zip of these members whose manifest lists them all, with their sizes and hashes, unless changes say else."""
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items() if name != "manifest.json"
    }  # fmt: skip
    manifest = json.loads(members["manifest.json"]) | {"members": listed} | manifest_changes
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in (members | {"manifest.json": json.dumps(manifest).encode()}).items():
            made.writestr((info or {}).get(name, name), content)
    return buffer.getvalue()


def refused(content: bytes) -> str:
    with pytest.raises(HeadlightError) as error:
        read_capsule(content)
    assert str(error.value).endswith(".") and len(str(error.value)) < 500
    return str(error.value)


def repacked(members) -> bytes:
    """A zip of exactly these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return buffer.getvalue()
