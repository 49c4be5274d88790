"""On the head card: which tokens the head's output speaks for and against."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.behaviour.head_card import WrittenToken, head_writes
from engine.figures.export import rows_csv
from engine.figures.tables import Row
from engine.heads import Head
from engine.prepare import Prepared
from pages.shared import glances, look, tokens

TOP_TOKENS = 8

Written = tuple[list[WrittenToken], list[WrittenToken]]


def show(prepared: Prepared, head: Head) -> None:
    st.markdown("##### What it writes")

    def top(known: Prepared) -> Written:
        return head_writes(known, head, TOP_TOKENS)

    with st.container(key="writes"):
        written = glances.result(prepared, ("writes", head), top, "Reading what it writes", height=240)
        if written is not None:
            _draw(prepared, head, written)


def _draw(prepared: Prepared, head: Head, written: Written) -> None:
    raised, lowered = written
    look.note(
        "Logits it adds directly at the end position, through each prompt’s final norm and the unembedding; mean of "
        f"{len(prepared.prompts)} clean prompts. Later layers may read the same output differently."
    )
    st.html(
        f'<div class="hl-writes">{_token_list("Raises most (logits)", raised, "")}'
        f"{_token_list('Lowers most (logits)', lowered, 'neg')}</div>"
    )
    look.download("Tokens as CSV", lambda: rows_csv(_rows(written)), f"writes-{head}.csv", "text/csv")


def _rows(written: Written) -> list[Row]:
    return [
        {"direction": direction, "token": item.token, "text": item.text, "logits": item.logits}
        for direction, items in zip(("raises", "lowers"), written, strict=True)
        for item in items
    ]


def _token_list(title: str, items: list[WrittenToken], sign: str) -> str:
    largest = max((abs(item.logits) for item in items), default=1.0) or 1.0
    rows = "".join(
        f'<div class="t"><code>{escape(tokens.visible(item.text))}</code>'
        f'<div class="b {sign}" style="width:{100 * abs(item.logits) / largest:.0f}%"></div>'
        f'<span class="v">{look.signed(item.logits, 2)}</span></div>'
        for item in items
    )
    return f"<div><h5>{escape(title)}</h5>{rows}</div>"
