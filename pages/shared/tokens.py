"""Prompts as rows of tokens. Everything returned is escaped HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from engine.figures.labels import VISIBLE
from engine.tasks.prompts import PromptPair

MOST_SHOWN = 3  # of a pair's answers or distractors (Greater-Than has dozens)


def pair_card(pair: PromptPair, pieces: Sequence[Sequence[str]], title: str) -> None:
    """A clean prompt above its corrupted one, differing tokens marked, answer and distractor at the end.

    ``pieces`` are the texts of the clean, corrupted, answer and distractor tokens.
    """
    clean, corrupted, answers, distractors = pieces
    differs = [a != b for a, b in zip(pair.clean_tokens, pair.corrupted_tokens, strict=True)]
    ending = f"<u>→</u>{_few(answers, 'answer')}<u>not</u>{_few(distractors, 'distractor')}"
    st.html(
        f'<div class="hl-pair" role="group" aria-label="{escape(title)}">'
        f'<div class="hl-row"><span>clean</span>'
        f'<div class="hl-tokens">{_row(clean, differs, "clean")}{ending}</div></div>'
        f'<div class="hl-row"><span>corrupted</span>'
        f'<div class="hl-tokens">{_row(corrupted, differs, "corrupted")}</div></div></div>'
    )


def visible(token: str) -> str:
    """A token with its blanks shown, for places that escape by themselves."""
    return token.translate(VISIBLE) or "∅"


def _row(pieces: Sequence[str], differs: Sequence[bool], kind: str) -> str:
    return "".join(_chip(piece, kind if differ else "") for piece, differ in zip(pieces, differs, strict=True))


def _few(pieces: Sequence[str], kind: str) -> str:
    more = f"<u>and {len(pieces) - MOST_SHOWN} more</u>" if len(pieces) > MOST_SHOWN else ""
    return " ".join(_chip(piece, kind) for piece in pieces[:MOST_SHOWN]) + more


def _chip(piece: str, kind: str) -> str:
    return f'<q class="{kind}">{escape(visible(piece))}</q>'
