"""All pairs, a page at a time: tokens aligned, probabilities of answer and distractor, the metric."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.figures.export import rows_csv
from engine.figures.pair_tables import Group, groups_of, pair_rows
from engine.figures.tables import Row
from engine.prepare import Prepared
from engine.tasks.alignment import align
from engine.tasks.build import describe_task
from engine.tasks.prompts import PromptPair
from engine.tasks.vocabulary import Vocabulary
from pages.prompts import aligned
from pages.shared import look, state, tokens
from pages.shared.head_card import data_key
from pages.shared.metric_words import METRIC_WORDS
from pages.shared.view import View

A_PAGE = 10
PAGER_WIDTH = 340  # pixels: of a narrower one Streamlit shows the arrows alone
LEAD = (
    "Clean above corrupted, token above token; the tokens that differ are marked. Probabilities are of the next token, "
    "softmax over the whole vocabulary at the end position. Where there are several answers or distractors, theirs are "
    "added up."
)


def show(prepared: Prepared, view: View) -> None:
    look.step(None, "The pairs", LEAD)
    if not prepared.custom:
        look.note(describe_task(prepared.prompts.task, prepared.model.tokenizer))
    groups = groups_in(prepared)
    kept = _kept(prepared, groups, view.pair_filter)
    page = min(view.pair_page, max(1, -(-len(kept) // A_PAGE)))
    shown = kept[(page - 1) * A_PAGE : page * A_PAGE]
    _choices(prepared, groups, view, kept, page)
    if shown:
        st.html("".join(_card(prepared, place, groups) for place in shown))
    else:
        look.empty("No pair is left", _none_left(view.pair_filter))
    _twin(prepared)


def groups_in(prepared: Prepared) -> list[Group]:
    baseline = prepared.baseline
    return groups_of(prepared.prompts.pairs, baseline.clean_by_pair, baseline.corrupted_by_pair)


def _kept(prepared: Prepared, groups: list[Group], wanted: str) -> list[int]:
    """Places of the pairs that the filter leaves."""
    if wanted == "all":
        return list(range(len(prepared.prompts)))
    if wanted == "wrong":
        return [place for place, value in enumerate(prepared.baseline.clean_by_pair.tolist()) if value <= 0]
    return next((list(group.pairs) for group in groups if str(group.number) == wanted), [])


def _none_left(wanted: str) -> str:
    if wanted == "wrong":
        return "After every clean prompt the model prefers the answer."
    return f"There is no template {wanted} among these prompts."


def _choices(prepared: Prepared, groups: list[Group], view: View, kept: list[int], page: int) -> None:
    """Which pairs, and which page of them."""
    wrong = len(_kept(prepared, groups, "wrong"))
    names = {"all": f"All {len(prepared.prompts)}", "wrong": f"Only the {wrong} where the answer is not preferred"}
    names |= {str(group.number): f"Template {group.number} ({len(group.pairs)})" for group in groups}
    names.setdefault(view.pair_filter, f"Template {view.pair_filter} (none)")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("pair_filter", view.pair_filter)
        st.selectbox(
            "Pairs", list(names), format_func=names.__getitem__, width=360, **state.bound("pair_filter", pair_page=1)
        )
        if len(kept) > A_PAGE:
            _pages(page, -(-len(kept) // A_PAGE), view.pair_filter)
        first = (page - 1) * A_PAGE
        look.note(f"Shown: {min(A_PAGE, len(kept) - first)} of {len(prepared.prompts)} pairs.")


def _pages(page: int, count: int, pair_filter: str) -> None:
    """One widget for each filter: it starts at the page of the view, and is moved only if a link says another."""
    key = f"pair_page_{pair_filter}"
    if st.session_state.get(key, page) != page:
        st.session_state[key] = page
    st.pagination(
        count, default=page, key=key, width=PAGER_WIDTH, on_change=lambda: state.change(pair_page=st.session_state[key])
    )


def _card(prepared: Prepared, place: int, groups: list[Group]) -> str:
    pair, vocabulary = prepared.prompts.pairs[place], Vocabulary(prepared.model.tokenizer)
    group = next(group.number for group in groups if place in group.pairs)
    right = float(prepared.baseline.clean_by_pair[place]) > 0
    verdict = "answer preferred" if right else "answer not preferred"
    head = (
        f"<b>Pair {place + 1}</b><span>template {group}</span>"
        f'<span class="{"yes" if right else "no"}">{"✓" if right else "✗"} {verdict}</span>'
    )
    tokens_of = align(pair.clean_tokens, pair.corrupted_tokens, prepared.model.tokenizer)
    return (
        f'<div class="hl-pair hl-wide" role="group" aria-label="Pair {place + 1}: clean, {escape(pair.clean)}; '
        f'corrupted, {escape(pair.corrupted)}"><div class="hl-about">{head}</div>'
        f"{aligned.rows(tokens_of)}{_numbers(prepared, place, pair, vocabulary)}</div>"
    )


def _numbers(prepared: Prepared, place: int, pair: PromptPair, vocabulary: Vocabulary) -> str:
    """A small table: what follows, after the clean and after the corrupted prompt."""
    name, unit, direction, digits = METRIC_WORDS[prepared.prompts.metric]
    baseline = prepared.baseline
    lines = [
        _line(_words(vocabulary, pair.answer_tokens, "answer"), prepared.probabilities[place, :, 0].tolist()),
        _line(_words(vocabulary, pair.distractor_tokens, "distractor"), prepared.probabilities[place, :, 1].tolist()),
    ]
    values = [look.signed(float(side[place]), digits) for side in (baseline.clean_by_pair, baseline.corrupted_by_pair)]
    shown = f'<span title="{escape(direction)}">{escape(name)}{f", {unit}" if unit else ""}</span>'
    lines.append(f'<tr><th scope="row">{shown}</th><td>{values[0]}</td><td>{values[1]}</td></tr>')
    return (
        '<table class="hl-table hl-odds"><thead><tr><th scope="col">next token</th><th scope="col">after clean</th>'
        f'<th scope="col">after corrupted</th></tr></thead><tbody>{"".join(lines)}</tbody></table>'
    )


def _words(vocabulary: Vocabulary, ids: tuple[int, ...], kind: str) -> str:
    several = f"{kind}s, sum of {len(ids)}" if len(ids) > 1 else kind
    return f"{several} {aligned.chips(vocabulary.pieces(ids), kind)}"


def _line(words: str, chances: list[float]) -> str:
    cells = "".join(f'<td><i style="width:{100 * chance:.1f}%"></i>{_percent(chance)}</td>' for chance in chances)
    return f'<tr><th scope="row">{words}</th>{cells}</tr>'


def _percent(chance: float) -> str:
    return "< 0.01 %" if 0 < chance < 5e-5 else f"{100 * chance:.2f} %"


@st.cache_data(show_spinner=False, max_entries=8)
def _rows(key: str, _prepared: Prepared) -> list[Row]:
    vocabulary, pairs = Vocabulary(_prepared.model.tokenizer), _prepared.prompts.pairs
    words = [(_listed(vocabulary, pair.answer_tokens), _listed(vocabulary, pair.distractor_tokens)) for pair in pairs]
    baseline = _prepared.baseline
    return pair_rows(
        pairs, groups_in(_prepared), words, baseline.clean_by_pair, baseline.corrupted_by_pair, _prepared.probabilities
    )


def _listed(vocabulary: Vocabulary, ids: tuple[int, ...]) -> str:
    return " ".join(tokens.visible(piece) for piece in vocabulary.pieces(ids))


def _twin(prepared: Prepared) -> None:
    with st.expander(f"All {len(prepared.prompts)} pairs as a table, and downloads", key="twin_all_pairs"):
        rows = _rows(data_key(prepared), prepared)
        st.dataframe(rows, hide_index=True, height=360)
        look.download("Pairs as CSV", lambda: rows_csv(rows), "pairs.csv", "text/csv")
