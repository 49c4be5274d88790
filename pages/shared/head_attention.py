"""On the head card: where the head looks, over the tokens of any prompt pair."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from torch import Tensor

from engine.behaviour.head_card import attention_pattern
from engine.figures.attention import attention_figure, attention_panels
from engine.figures.export import figure_html, rows_csv
from engine.figures.tables import attention_rows
from engine.heads import Head
from engine.prepare import Prepared
from engine.tasks.vocabulary import Vocabulary
from pages.shared import background, glances, look, state, tokens
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.view import View

PROMPTS = ("clean", "corrupted")


def show(prepared: Prepared, view: View, head: Head) -> None:
    st.markdown("##### Where it looks")
    pairs = prepared.prompts.pairs
    index = min(view.prompt, len(pairs) - 1)
    _choices(prepared, view, index)

    def both(known: Prepared) -> tuple[Tensor, Tensor]:
        """Attention [query key] of the clean and the corrupted prompt: a forward pass each."""
        pair = known.prompts.pairs[index]
        return tuple(attention_pattern(known.model, ids, head) for ids in (pair.clean_tokens, pair.corrupted_tokens))  # pyright: ignore[reportReturnType]

    with st.container(key="attention"):
        patterns = glances.result(prepared, ("attention", head, index), both, "Reading its attention", height=420)
        if patterns is not None:
            _draw(prepared, view, head, index, patterns)


def _choices(prepared: Prepared, view: View, index: int) -> None:
    pairs = prepared.prompts.pairs
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("prompt", index)
        st.selectbox(
            "Prompt pair", range(len(pairs)), format_func=lambda i: f"{i + 1}: {pairs[i].clean}", width=560,
            **state.bound("prompt"),
        )  # fmt: skip
        state.show("hide_first", view.hide_first)
        st.toggle(
            "Hide the first token", **state.bound("hide_first"),
            help="Many heads rest on the first token when they have nothing to do.",
        )  # fmt: skip


def _draw(prepared: Prepared, view: View, head: Head, index: int, patterns: tuple[Tensor, Tensor]) -> None:
    vocabulary, pair = Vocabulary(prepared.model.tokenizer), prepared.prompts.pairs[index]
    words = tuple(vocabulary.pieces(pair.clean_tokens)), tuple(vocabulary.pieces(pair.corrupted_tokens))
    panels = drawn(attention_panels, *patterns, *words, dark=is_dark(), hide_first=view.hide_first)
    for column, panel, name in zip(st.columns(2), panels, PROMPTS, strict=True):
        with column:
            chart(
                panel, f"attention_{name}", f"Attention of the head over the tokens of the {name} prompt",
                identity=background.data_of(prepared.settings),
            )  # fmt: skip
    look.note("Rows look, columns are looked at; each row adds up to 1 (before hiding).")
    _twin(head, patterns, words, view.hide_first)


def _twin(
    head: Head, patterns: tuple[Tensor, Tensor], words: tuple[Sequence[str], Sequence[str]], hide_first: bool
) -> None:
    """The same as a table, and to take away."""
    dark = is_dark()  # read here: downloads are made outside a script run
    with st.expander("Attention as a table, and downloads", key="twin_attention"):
        chosen = st.segmented_control("Prompt", PROMPTS, default=PROMPTS[0], required=True, key="attention_table")
        at = PROMPTS.index(chosen)
        rows = attention_rows(patterns[at], [tokens.visible(word) for word in words[at]])
        st.dataframe(rows, hide_index=True, height=320)
        with st.container(horizontal=True):
            look.download(f"Attention, {chosen}, as CSV", lambda: rows_csv(rows), f"attention-{head}.csv", "text/csv")
            look.download(
                "Both as HTML",
                lambda: figure_html(
                    attention_figure(*patterns, *words, dark=dark, hide_first=hide_first), f"Attention of {head}", dark
                ),
                f"attention-{head}.html",
                "text/html",
            )
