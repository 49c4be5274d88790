"""Names and tags that people give to runs: one line of what can be printed, not too long."""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import HeadlightError

LONGEST_NAME, LONGEST_TAG, MOST_TAGS = 200, 60, 20


def line(text: str, longest: int = LONGEST_NAME) -> str:
    """``text`` with single spaces for all spaces and for what cannot be printed, cut off at ``longest``."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:longest]


def tags_of(words: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order, empty ones left out; raises HeadlightError for more than a run may have, and for commas."""
    tags = tuple(dict.fromkeys(tag for word in words if (tag := line(word, LONGEST_TAG))))
    if len(tags) > MOST_TAGS:
        raise HeadlightError(f"Expected up to {MOST_TAGS} tags, got {len(tags)}. Leave some out.")
    if any("," in tag for tag in tags):
        raise HeadlightError("Expected tags without commas, which stand between tags. Take them out.")
    return tags
