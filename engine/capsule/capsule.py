"""What a run capsule is: its members, their names and their limits.

1. A ``.headlight`` file is a zip, members stored or deflated:
     manifest.json                    schema, when and with what it was made, size and sha256 of every other member
     run.json                         the record (engine/record/writing.py) without its matrices
     arrays.safetensors               the matrices (engine/store/arrays.py)
     attachments/<kind>/<name>.json   what was measured of the run later, as records hold it
     labels.json                      what people said of it: names and roles of heads, a name and tags of the run
2. No other member is allowed, and none may be larger than its limit: a capsule is opened without trusting it.
3. The same content written at the same time gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.discovery import Discovery
from engine.record.json_values import Json
from engine.record.run_summary import RunSummary

SUFFIX = ".headlight"
SCHEMA_NAME, SCHEMA_VERSION = "headlight-capsule", 1
SCHEMA = f"{SCHEMA_NAME}/{SCHEMA_VERSION}"

MANIFEST, RUN, ARRAYS, LABELS = "manifest.json", "run.json", "arrays.safetensors", "labels.json"
REQUIRED = (RUN, ARRAYS)
KINDS = ("evaluation", "edges", "stability", "receipts")
ATTACHMENT = re.compile(rf"attachments/({'|'.join(KINDS)})/([A-Za-z0-9][A-Za-z0-9_-]{{0,63}})\.json")

MAX_FILE = 20_000_000  # bytes of the capsule
MAX_TOTAL = 50_000_000  # of all members, inflated
MAX_MEMBERS = 100
MAX_SIZES = {MANIFEST: 100_000, RUN: 20_000_000, ARRAYS: 40_000_000, LABELS: 1_000_000}
MAX_ATTACHMENT = 10_000_000

Attachments = Mapping[str, Mapping[str, Json]]  # by kind, then by name
WAY_ON = "Give a .headlight file that Headlight wrote, as it was written."


@dataclass(frozen=True, eq=False)
class Capsule:
    """A capsule that was read and found good. ``found`` and ``run`` are ``record`` as results, and as what is compared.

    ``manifest`` is empty for a run that does not come from a capsule.
    """

    manifest: Json
    record: Json
    attachments: Attachments
    labels: Json
    found: Discovery
    run: RunSummary

    @property
    def fingerprint(self) -> str | None:
        """Of the model's weights; None in a record from before records carried it."""
        return self.record.get("fingerprint") or None


def attachment_name(kind: str, name: str) -> str:
    """The member an attachment is written to."""
    return f"attachments/{kind}/{name}.json"


def max_size(member: str) -> int:
    """The most bytes a member may have."""
    return MAX_SIZES.get(member, MAX_ATTACHMENT)


def is_allowed(member: str) -> bool:
    """Whether a capsule may have a member of this name."""
    return member in MAX_SIZES or ATTACHMENT.fullmatch(member) is not None
