"""All heads as a list: searched, filtered, ordered; selecting a row selects the head."""

from __future__ import annotations

import hashlib
from typing import Any

import streamlit as st

from engine.figures.export import rows_csv
from engine.figures.score_tables import ranked_rows
from engine.figures.tables import Row
from engine.heads import Head
from engine.prepare import Prepared
from engine.pruning.masks import KEEPERS
from engine.settings import Score
from pages.shared import head_card, look, state
from pages.shared.link_readers import MAX_SEARCH
from pages.shared.view import ORDERS, View

LEAD = (
    "Select a row for the head’s card; click a column’s title to sort by it. A rank difference above 0 means that "
    "C-FLAP ranks the head higher than FLAP does."
)
ORDER_TITLES = {
    "contrastive_flap": "C-FLAP rank", "flap": "FLAP rank", "difference": "Rank difference", "layer": "Layer",
}  # fmt: skip
KEEPER_TITLES = {"both": "Both", "C-FLAP": "C-FLAP alone", "FLAP": "FLAP alone", "neither": "Neither"}
DROPS_HELP = "The first sparsity that removes the head; 1 is none."
HEIGHT = 420  # pixels


def show(prepared: Prepared, view: View) -> None:
    look.step(None, "All heads", LEAD)
    _filters(prepared, view)
    everything = _rows(head_card.data_key(prepared), view.sparsity, prepared)
    rows = chosen(everything, view)
    look.note(f"{len(rows)} of {look.count(len(everything), 'head')} shown{_cut(view)}.")
    if rows:
        _table(rows)
    else:
        look.empty("No head like that", "Search for a layer (9.), a head (9.6), or loosen the filters.")
    with st.container(horizontal=True):
        look.download("These heads as CSV", lambda: rows_csv(rows), "heads.csv", "text/csv")
        if len(rows) < len(everything):
            look.download("All heads as CSV", lambda: rows_csv(everything), "all-heads.csv", "text/csv")
            st.button("Show all", icon=":material/filter_alt_off:", key="all_heads", on_click=_show_all)


def _cut(view: View) -> str:
    return f", the first {view.top} by {ORDER_TITLES[view.order].lower()}" if view.top else ""


def _show_all() -> None:
    state.change(find=View.find, kept_by=View.kept_by, layers=View.layers, top=View.top)


@st.cache_data(show_spinner=False, max_entries=64)
def _rows(key: str, sparsity: float, _prepared: Prepared) -> list[Row]:
    scores = _prepared.scores
    flap, contrastive = (scores.keep(score, sparsity) for score in (Score.FLAP, Score.CONTRASTIVE_FLAP))
    return ranked_rows(scores.flap, scores.contrastive_flap, flap, contrastive)


def chosen(rows: list[Row], view: View) -> list[Row]:
    """Those the view's filters leave, in its order."""
    low, high = _ends(view.layers, len(rows))
    kept = [
        row
        for row in rows
        if found(str(row["head"]), view.find) and low <= int(row["layer"] or 0) <= high
        and row["kept by"] in view.kept_by
    ]  # fmt: skip
    kept.sort(key=ORDER_KEYS[view.order])
    return kept[: view.top] if view.top else kept


ORDER_KEYS: dict[str, Any] = {
    "contrastive_flap": lambda row: row["C-FLAP rank"],
    "flap": lambda row: row["FLAP rank"],
    "difference": lambda row: -abs(row["rank difference"]),
    "layer": lambda row: 0,  # they come in that order
}


def found(name: str, text: str) -> bool:
    """Whether a search finds a head: ``9.6`` that head, ``9.`` or ``9`` its layer, ``.6`` that place in any layer."""
    wanted = text.strip().removeprefix("L").removeprefix("l")
    if not wanted:
        return True
    layer, dot, index = wanted.partition(".")
    own_layer, _, own_index = name.partition(".")
    return (not layer or layer == own_layer) and (not dot or not index or index == own_index)


def _ends(layers: str, most: int) -> tuple[int, int]:
    low, dash, high = layers.partition("-")
    return (int(low), int(high)) if dash else (0, most)


def _filters(prepared: Prepared, view: View) -> None:
    last = prepared.model.n_layers - 1
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("find", view.find)
        st.text_input(
            "Search", placeholder="9.6, or 9. for a layer", max_chars=MAX_SEARCH, width=190, icon=":material/search:",
            **state.bound("find", read=str.strip),
        )  # fmt: skip
        if last > 0:
            low, high = _ends(view.layers, last)
            state.show("layers", (min(low, last), min(max(low, high), last)))
            st.slider(
                "Layers", 0, last, width=200,
                **state.bound("layers", read=lambda ends: "" if ends == (0, last) else f"{ends[0]}-{ends[1]}"),
            )  # fmt: skip
        state.show("order", view.order)
        st.selectbox("Order by", ORDERS, format_func=ORDER_TITLES.__getitem__, width=170, **state.bound("order"))
        state.show("top", min(view.top, prepared.scores.flap.numel()))
        st.number_input(
            "Top", 0, prepared.scores.flap.numel(), step=5, width=140, help="0 shows all.",
            **state.bound("top", read=int),
        )  # fmt: skip
        state.show("kept_by", list(view.kept_by))
        st.pills(
            "Kept by", KEEPERS, format_func=KEEPER_TITLES.__getitem__, selection_mode="multi", wrap=True,
            help=f"At sparsity {view.sparsity:.2f}, the one chosen above.",
            **state.bound("kept_by", read=lambda names: tuple(name for name in KEEPERS if name in names)),
        )  # fmt: skip


def _table(rows: list[Row]) -> None:
    names = [str(row["head"]) for row in rows]
    key = f"heads_{hashlib.sha256(','.join(names).encode()).hexdigest()[:12]}"  # other rows, other table
    selected = state.current().head
    st.session_state[key] = {"selection": {"rows": [names.index(selected)] if selected in names else []}}

    def pick() -> None:
        picked = st.session_state[key]["selection"]["rows"]
        state.change(head=str(Head.parse(names[picked[0]])) if picked else None)

    number = st.column_config.NumberColumn
    st.dataframe(
        rows, key=key, on_select=pick, selection_mode="single-row", hide_index=True, height=HEIGHT,
        alt="All heads with both scores, ranks and the sparsity that drops each",
        column_config={
            "head": st.column_config.TextColumn(pinned=True), "layer": None,
            "C-FLAP": number("C-FLAP (z)", format="%.3f"), "FLAP": number("FLAP (z)", format="%.3f"),
            "rank difference": number(format="%+g", help="FLAP rank − C-FLAP rank"),
            "C-FLAP drops at": number(format="%.2f", help=DROPS_HELP),
            "FLAP drops at": number(format="%.2f", help=DROPS_HELP),
        },
    )  # fmt: skip
