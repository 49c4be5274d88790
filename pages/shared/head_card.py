"""Everything known about one head; every page that shows heads ends with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st
from torch import Tensor

from engine.answer_keys import answer_keys
from engine.cliffs import FIXED_SPARSITY
from engine.errors import HeadlightError
from engine.figures.attention import attention_figure, attention_panels
from engine.figures.export import figure_html, rows_csv
from engine.figures.tables import attention_rows
from engine.figures.theme import mode_bar
from engine.head_card import WrittenToken, attention_pattern, head_writes
from engine.heads import Head
from engine.pipeline import Discovery
from engine.prepare import HeadScores, Prepared
from engine.pruning import drop_sparsity, kept_count
from engine.sparsity_sweep import Pruning
from engine.tasks.vocabulary import Vocabulary
from pages.shared import background, head_effects, look, state, tokens
from pages.shared.chart import is_dark
from pages.shared.view import View

LEAD = (
    "Click a head anywhere above, or choose one here: why it was kept, what it does to the answer, where it looks, "
    "what it writes."
)
TOP_TOKENS = 8
PROMPTS = ("clean", "corrupted")


def show(
    prepared: Prepared,
    view: View,
    pruning: Pruning | None,
    found: Discovery | None,
    number: int | None = None,
    about: Callable[[Head], None] | None = None,
) -> None:
    """``number`` is the step's, where steps are numbered; ``pruning`` and ``found`` as far as there are any.

    ``about`` says what the page knows of the head, in place of what published circuits say.
    """
    st.html('<div id="head-card"></div>')
    look.step(number, "One head", LEAD)
    model = prepared.model
    head = state.selected_head(model.n_layers, model.n_heads)
    if view.head is not None and head is None:
        look.note(
            f"There is no head {view.head} in this model: layers go from 0 to {model.n_layers - 1}, heads from 0 to "
            f"{model.n_heads - 1}."
        )
    _choose(prepared, head)
    if head is None:
        look.empty("No head selected", "Its card opens here.")
        return
    _score_facts(prepared.scores, head)
    known_as(prepared, head) if about is None else about(head)
    _why_kept(prepared.scores, view, pruning, head)
    head_effects.show(found, head)
    _looks_at(prepared, view, head)
    _writes(prepared, head)


def _choose(prepared: Prepared, head: Head | None) -> None:
    """All heads, best Contrastive-FLAP score first."""
    scores = prepared.scores.contrastive_flap
    order = scores.flatten().argsort(descending=True).tolist()
    names = [str(Head(i // scores.shape[1], i % scores.shape[1])) for i in order]
    st.session_state["card_head"] = str(head) if head is not None else None

    def pick() -> None:
        state.change(head=st.session_state["card_head"])

    st.selectbox(
        "Head",
        names,
        key="card_head",
        placeholder="choose a head, highest C-FLAP score first",
        on_change=pick,
        width=320,
    )


def _score_facts(scores: HeadScores, head: Head) -> None:
    total = scores.flap.numel()
    items = []
    for name, values in (("C-FLAP", scores.contrastive_flap), ("FLAP", scores.flap)):
        value = float(values[head.layer, head.index])
        rank = int((values > value).sum()) + 1
        drop = float(drop_sparsity(values)[head.layer, head.index])
        gone = f"dropped at sparsity {drop:.2f}" if drop < 1 else "kept at every sparsity"
        items.append(look.Fact(f"{name} score", look.signed(value, 2), "z", gone))
        items.append(look.Fact(f"{name} rank", f"{rank}", f"of {total}", "1 is the highest score"))
    look.facts(items)


def known_as(prepared: Prepared, head: Head) -> None:
    """What published circuits of this model and task say about the head."""
    for key in answer_keys(prepared.settings.model, prepared.settings.task):
        if head in key.roles:
            look.note(
                f"In the published circuit “{key.title}”" + (f" as {key.roles[head]}." if key.roles[head] else ".")
            )


def _why_kept(scores: HeadScores, view: View, pruning: Pruning | None, head: Head) -> None:
    """Which list admits the head, and by how much."""
    if pruning is not None:
        merge = pruning.choice.merge
        lists = (
            ("FLAP", scores.flap, merge.flap_cliff.sparsity, f"{merge.flap_cliff.kind.value} cliff"),
            (
                "C-FLAP",
                scores.contrastive_flap,
                merge.contrastive_cliff.sparsity,
                f"{merge.contrastive_cliff.kind.value} cliff",
            ),
        )
        kept = bool(merge.mask[head.layer, head.index])
        title = "In the automatic union." if kept else "Not in the automatic union."
    else:
        lists = tuple(
            (name, values, FIXED_SPARSITY, "fixed")
            for name, values in (("FLAP", scores.flap), ("C-FLAP", scores.contrastive_flap))
        )
        kept = any(_margin(values, sparsity, head) > 0 for _, values, sparsity, _ in lists)
        title = "Among the kept heads of either score." if kept else "Kept by neither score."
    parts = [_admission(name, values, sparsity, why, head) for name, values, sparsity, why in lists]
    ringed = bool(scores.keep(view.mask_score, view.sparsity)[head.layer, head.index])
    parts.append(f"At the slider’s sparsity {view.sparsity:.2f} it is {'ringed' if ringed else 'not ringed'}.")
    look.verdict(title, " ".join(parts), "yes" if kept else "wait")


def _admission(name: str, values: Tensor, sparsity: float, why: str, head: Head) -> str:
    margin = _margin(values, sparsity, head)
    verb = "admits it" if margin > 0 else "does not"
    return f"{name} at sparsity {sparsity:.2f} ({why}) {verb}: {look.signed(margin, 2)} from the threshold."


def _margin(values: Tensor, sparsity: float, head: Head) -> float:
    """Score minus the threshold at that sparsity; kept if above 0."""
    ranked = values.flatten().sort(descending=True).values
    return float(values[head.layer, head.index] - ranked[kept_count(values.numel(), sparsity)])


def data_key(prepared: Prepared) -> str:
    """What a cached result depends on, besides its own arguments."""
    return repr(background.data_of(prepared.settings))


@st.cache_data(show_spinner=False, max_entries=64)
def _patterns(key: str, head: Head, index: int, _prepared: Prepared) -> tuple[Tensor, Tensor]:
    """Attention [query key] of the clean and the corrupted prompt of one pair: a forward pass each."""
    pair, model = _prepared.prompts.pairs[index], _prepared.model
    return attention_pattern(model, pair.clean_tokens, head), attention_pattern(model, pair.corrupted_tokens, head)


@st.cache_data(show_spinner=False, max_entries=64)
def _written(key: str, head: Head, _prepared: Prepared) -> tuple[list[WrittenToken], list[WrittenToken]]:
    return head_writes(_prepared, head, TOP_TOKENS)


def _looks_at(prepared: Prepared, view: View, head: Head) -> None:
    st.markdown("##### Where it looks")
    pairs = prepared.prompts.pairs
    index = min(view.prompt, len(pairs) - 1)
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
    vocabulary = Vocabulary(prepared.model.tokenizer)
    try:
        patterns = _patterns(data_key(prepared), head, index, prepared)
    except HeadlightError as error:
        look.note(str(error))
        return
    words = vocabulary.pieces(pairs[index].clean_tokens), vocabulary.pieces(pairs[index].corrupted_tokens)
    panels = attention_panels(*patterns, *words, dark=is_dark(), hide_first=view.hide_first)
    for column, panel, name in zip(st.columns(2), panels, PROMPTS, strict=True):
        column.plotly_chart(
            panel, key=f"attention_{name}", theme=None, config=mode_bar(f"attention-{head}-{name}"),
            alt=f"Attention of head {head} over the {name} prompt",
        )  # fmt: skip
    look.note("Rows look, columns are looked at; each row adds up to 1 (before hiding).")
    _attention_twin(head, patterns, words, view.hide_first)


def _attention_twin(
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


def _writes(prepared: Prepared, head: Head) -> None:
    st.markdown("##### What it writes")
    try:
        raised, lowered = _written(data_key(prepared), head, prepared)
    except HeadlightError as error:
        look.note(str(error))
        return
    look.note(
        "Logits it adds directly at the end position, through each prompt’s final norm and the unembedding; mean of "
        f"{len(prepared.prompts)} clean prompts. Later layers may read the same output differently."
    )
    st.html(
        f'<div class="hl-writes">{_token_list("Raises most (logits)", raised, "")}'
        f"{_token_list('Lowers most (logits)', lowered, 'neg')}</div>"
    )


def _token_list(title: str, items: list[WrittenToken], sign: str) -> str:
    largest = max((abs(item.logits) for item in items), default=1.0) or 1.0
    rows = "".join(
        f'<div class="t"><code>{escape(tokens.visible(item.text))}</code>'
        f'<div class="b {sign}" style="width:{100 * abs(item.logits) / largest:.0f}%"></div>'
        f'<span class="v">{look.signed(item.logits, 2)}</span></div>'
        for item in items
    )
    return f"<div><h5>{escape(title)}</h5>{rows}</div>"
