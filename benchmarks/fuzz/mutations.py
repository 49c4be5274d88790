"""Inputs that are nearly right: valid bytes, texts and JSON with something in them changed, seeded.

1. Bytes: bits flipped, slices cut out, doubled, moved or repeated many times, the end cut off, other bytes put in.
2. JSON: anywhere in the tree a value replaced by one of another kind or size, a field taken out, added or doubled.
3. Text: what people and attackers type: numbers at their limits, other scripts, markup, paths, control characters.

Every function takes the generator it draws from, so a seed gives the same inputs on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

MOST_REPEATS = 2000
DEEPEST = 5000
LONGEST = 20_000

TEXTS = (
    "", " ", "\n", "\x00", "\ufeff", "0", "-1", "1e309", "nan", "NaN", "inf", "-inf", "1_000", "٣", "9.6", "99.99",
    "-1.0", "9.", ".6", "m9", "m-1", "mm", "logits", "q", "null", "true", "[]", "{}", "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "$\\frac{1}{0}$", "../../etc/passwd", "C:\\con",
    "/dev/full", "%00", "%s%s%n", "{0.__class__}", "\u202e", "é", "日本", "🔦", "\ud800", "a" * 400, "9" * 25,
    "own-000000000000", "toy-induction", "induction-random", "headlight/1", "headlight/2",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, 5e-324, float("nan"),
    float("inf"), [], {}, [[]], [None], {"": None}, [[1.0, None], [2.0]], {"a": {"b": []}},
)  # fmt: skip


def mutated_bytes(rng: Random, content: bytes) -> bytes:
    """``content`` with one to four changes."""
    for _ in range(rng.randint(1, 4)):
        content = rng.choice(BYTE_CHANGES)(rng, content)
    return content


def mutated_json(rng: Random, value: Any) -> Any:
    """``value`` with one to three changes anywhere in it; what is not on the way to one is shared."""
    for _ in range(rng.randint(1, 3)):
        value = _changed(rng, value)
    return value


def json_bytes(rng: Random, value: Any) -> bytes:
    """``value`` as JSON, now and then with what no value can say: a field twice, brackets without end, long numbers."""
    text = json.dumps(value)
    if rng.random() < 0.1:
        odd = rng.choice((
            "[" * rng.randint(1, DEEPEST), '{"a":' * rng.randint(1, DEEPEST), "1" * rng.randint(1, LONGEST),
            nested(rng), "1e" + "9" * rng.randint(1, 30), '"\\ud800"', '{"a": 1, "a": 2}',
        ))  # fmt: skip
        place = rng.randrange(len(text) + 1)
        text = text[:place] + odd + text[place + rng.choice((0, 1, 9)) :]
    return text.encode("utf-8", "surrogatepass")


def nested(rng: Random) -> str:
    """Brackets that do end."""
    depth = rng.randint(1, DEEPEST)
    return "[" * depth + "]" * depth


def text(rng: Random) -> str:
    """A short text, often one that means something somewhere."""
    if rng.random() < 0.7:
        return rng.choice(TEXTS)
    alphabet = rng.choice(("0123456789.,-", "abc.,~-m", "\x00\n\t ,", "<>&\"'`$\\[]()*_{}", "é日🔦\u200f"))
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(0, 30)))


def anything(rng: Random) -> Any:
    """A value of any kind."""
    kind = rng.randrange(4)
    if kind == 0:
        return text(rng)
    if kind == 1:
        return rng.choice((rng.randint(-10, 10), rng.uniform(-2, 2), rng.randint(-(2**70), 2**70)))
    return rng.choice(VALUES)


def _changed(rng: Random, value: Any) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.9:
        return _in_dict(rng, value)
    if isinstance(value, list) and value and rng.random() < 0.9:
        return _in_list(rng, value)
    if isinstance(value, str) and rng.random() < 0.3:
        return mutated_bytes(rng, value.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    return anything(rng)


def _in_dict(rng: Random, value: dict[str, Any]) -> dict[str, Any]:
    key = rng.choice(list(value))
    kind = rng.randrange(10)
    if kind == 0:
        return {name: each for name, each in value.items() if name != key}
    if kind == 1:
        return {**value, text(rng): anything(rng)}
    if kind == 2:
        return {**value, key: value[rng.choice(list(value))]}
    return {**value, key: _changed(rng, value[key])}


def _in_list(rng: Random, value: list[Any]) -> list[Any]:
    place = rng.randrange(len(value))
    kind = rng.randrange(10)
    if kind == 0:
        return value[:place] + value[place + 1 :]
    if kind == 1:
        return [*value[:place], anything(rng), *value[place:]]
    if kind == 2:
        return value * rng.choice((2, 3, 50)) if len(value) < 200 else value[: len(value) // 2]
    return [*value[:place], _changed(rng, value[place]), *value[place + 1 :]]


def _flip(rng: Random, content: bytes) -> bytes:
    if not content:
        return b"\x00"
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def _cut(rng: Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _without(rng: Random, content: bytes) -> bytes:
    first, last = _slice(rng, content)
    return content[:first] + content[last:]


def _doubled(rng: Random, content: bytes) -> bytes:
    first, last = _slice(rng, content)
    return content[:last] + content[first:]


def _moved(rng: Random, content: bytes) -> bytes:
    first, last = _slice(rng, content)
    rest = content[:first] + content[last:]
    place = rng.randrange(len(rest) + 1)
    return rest[:place] + content[first:last] + rest[place:]


def _repeated(rng: Random, content: bytes) -> bytes:
    first, last = _slice(rng, content)
    piece = content[first : min(last, first + 50)]
    return content[:first] + piece * rng.randint(2, MOST_REPEATS) + content[first:]


def _put_in(rng: Random, content: bytes) -> bytes:
    place = rng.randrange(len(content) + 1)
    odd = rng.choice((
        b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"\n", b"\r", b",", b"|", b"{", b"[", b"\xf0\x9f\x94\xa6",
        b"\xed\xa0\x80",
        rng.randbytes(rng.randint(1, 20)), (2 ** rng.choice((31, 32, 63)) - 1).to_bytes(8, "little"),
        text(rng).encode("utf-8", "surrogatepass"),
    ))  # fmt: skip
    return content[:place] + odd + content[place + rng.choice((0, len(odd))) :]


def _slice(rng: Random, content: bytes) -> tuple[int, int]:
    first = rng.randrange(len(content) + 1)
    return first, min(len(content), first + rng.randint(0, max(1, len(content) // 4)))


BYTE_CHANGES: Sequence[Callable[[Random, bytes], bytes]] = (
    _flip, _flip, _cut, _without, _doubled, _moved, _repeated, _put_in, _put_in,
)  # fmt: skip
