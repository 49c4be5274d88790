"""Two prompts, one above the other, token by token. Everything returned is escaped HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from engine.tasks.alignment import AlignedToken
from pages.shared import tokens


def rows(aligned: Sequence[AlignedToken]) -> str:
    """Columns of two tokens that wrap together; those that differ are marked, a missing one is a gap."""
    columns = "".join(_column(token) for token in aligned)
    return (
        '<div class="hl-tokens hl-aligned"><span class="names"><i>clean</i><i>corrupted</i></span>'
        f'<span class="columns">{columns}</span></div>'
    )


def chips(words: Sequence[str], kind: str, most: int = tokens.MOST_SHOWN) -> str:
    """Answers or distractors; ``kind`` is the class that colours them."""
    more = f"<u>and {len(words) - most} more</u>" if len(words) > most else ""
    shown = "".join(f'<q class="{kind}">{escape(tokens.visible(word))}</q>' for word in words[:most])
    return f'<span class="hl-tokens">{shown}{more}</span>'


def _column(token: AlignedToken) -> str:
    return (
        f"<span>{_chip(token.clean, 'clean', token.differs)}{_chip(token.corrupted, 'corrupted', token.differs)}</span>"
    )


def _chip(text: str, side: str, differs: bool) -> str:
    if not text and differs:
        return '<q class="gap" title="this prompt is shorter">·</q>'
    return f'<q class="{side if differs else ""}">{escape(tokens.visible(text))}</q>'
