"""An answer key: heads somebody named for a model and task, and the JSON object it is written as.

    {"schema": "headlight-key/1", "model": "gpt2", "task": "ioi", "title": "…", "source": "…",
     "roles": {"name mover": ["9.9", "10.0"], "induction": ["5.5"]}}

A key without roles has ``"heads": ["9.9", …]`` in their place. What a person brings is not trusted: whatever does
not fit is a HeadlightError that names it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import HeadlightError
from engine.heads import Head

SCHEMA = "headlight-key/1"
MAX_BYTES = 1_000_000
LONGEST = 300
TEXTS = ("model", "task", "title", "source")
FIELDS = ("schema", *TEXTS, "roles", "heads")
EXAMPLE = (
    f'{{"schema": "{SCHEMA}", "model": "gpt2", "task": "ioi", "title": "Mine", "source": "where it is from", '
    '"heads": ["9.9", "10.0"]}'
)
WAY_ON = f"Write it like this: {EXAMPLE}"


@dataclass(frozen=True, eq=False)
class AnswerKey:
    """Heads somebody named for a model and task; ``roles`` maps each to its role, "" where none was given.

    ``name`` is that of a key of one's own (engine/trust/own_keys.py), "" for those that come with Headlight.
    """

    model: str
    task: str
    title: str
    source: str
    roles: Mapping[Head, str]
    name: str = ""

    @property
    def heads(self) -> tuple[Head, ...]:
        """In layer order."""
        return tuple(sorted(self.roles))


def read_key(data: bytes) -> AnswerKey:
    """The key in a file's bytes; raises HeadlightError for anything that is none."""
    if len(data) > MAX_BYTES:
        raise HeadlightError(f"The answer key has {len(data):,} bytes; at most {MAX_BYTES:,} can be read. {WAY_ON}")
    try:
        entry = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_each_once)
    except HeadlightError:
        raise
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or brackets without end
        raise HeadlightError(f"The answer key is not JSON ({error}). {WAY_ON}") from error
    if not isinstance(entry, dict) or entry.get("schema") != SCHEMA:
        found = entry.get("schema") if isinstance(entry, dict) else None
        raise HeadlightError(f"Expected an answer key with schema {SCHEMA}, got {_short(found)}. {WAY_ON}")
    return key_of(entry)


def key_of(entry: Mapping[str, Any]) -> AnswerKey:
    """The key an entry describes; raises HeadlightError naming what is wrong with it."""
    unknown = sorted(set(entry) - set(FIELDS))
    if unknown:
        raise HeadlightError(f"An answer key has no field {_short(unknown[0])}; it has {', '.join(FIELDS)}.")
    texts = {name: _text(entry, name) for name in TEXTS}
    if ("roles" in entry) == ("heads" in entry):
        raise HeadlightError(f"Expected either roles or heads in an answer key, got both or neither. {WAY_ON}")
    by_role = {"": entry["heads"]} if "heads" in entry else entry["roles"]
    return AnswerKey(**texts, roles=_roles(by_role))


def check_key(key: AnswerKey, n_layers: int, n_heads: int) -> AnswerKey:
    """``key`` if a model of this shape has all its heads; raises HeadlightError naming those it lacks."""
    lacking = [str(head) for head in key.heads if head.layer >= n_layers or head.index >= n_heads]
    if lacking:
        raise HeadlightError(
            f"The answer key “{key.title}” names {', '.join(lacking)}, but {key.model} has layers 0 to {n_layers - 1} "
            f"and heads 0 to {n_heads - 1}. Correct the key, or the model it is for."
        )
    return key


def key_record(key: AnswerKey) -> dict[str, Any]:
    """What ``key_of`` reads, roles in the order they first come, heads in layer order."""
    roles: dict[str, list[str]] = {}
    for head in key.heads:
        roles.setdefault(key.roles[head], []).append(str(head))
    return {
        "schema": SCHEMA, "model": key.model, "task": key.task, "title": key.title, "source": key.source,
        "roles": roles,
    }  # fmt: skip


def _roles(by_role: Any) -> dict[Head, str]:
    if not isinstance(by_role, dict) or not all(isinstance(names, list) for names in by_role.values()):
        raise HeadlightError(f"Expected roles with a list of heads each, got {_short(by_role)}. {WAY_ON}")
    named = [(_head(name), role) for role, names in by_role.items() for name in names]
    if not named:
        raise HeadlightError(f"Expected at least one head in an answer key, got none. {WAY_ON}")
    twice = [str(head) for head, times in Counter(head for head, _ in named).items() if times > 1]
    if twice:
        raise HeadlightError(f"The answer key names {', '.join(twice)} more than once. Name each head once.")
    return dict(named)


def _head(name: Any) -> Head:
    if not isinstance(name, str) or len(name) > 9:
        raise HeadlightError(f"Expected a head written layer.index such as 9.6 in an answer key, got {_short(name)}.")
    return Head.parse(name)


def _text(entry: Mapping[str, Any], name: str) -> str:
    text = entry.get(name)
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST or not text.isprintable():
        raise HeadlightError(
            f"Expected the field {name} of an answer key to be a text of 1 to {LONGEST} characters, "
            f"got {_short(text)}. {WAY_ON}"
        )
    return text.strip()


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a name stand twice and takes the last: heads would be lost in silence."""
    twice = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    if twice:
        raise HeadlightError(f"The answer key says {_short(twice[0])} twice. Name each field and role once.")
    return dict(pairs)


def _short(value: object) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in repr(value)[:61])
    return f"{text[:60]}…" if len(text) > 60 else text
