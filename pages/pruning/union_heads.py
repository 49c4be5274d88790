"""Which heads the union in use keeps, on the map, and which of its two lists admits each."""

from __future__ import annotations

import streamlit as st

from engine.figures.export import rows_csv
from engine.figures.heatmap import heatmap_figure
from engine.figures.score_tables import ranked_rows
from engine.heads import Head
from engine.prepare import Prepared
from engine.pruning.masks import keep_mask
from engine.pruning.merge import union_words
from engine.pruning.sparsity_sweep import Pruning
from pages.shared import background, look, score_views, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.view import View

LEAD = "The search may use the ringed heads, and no others. Click one for its card."


def show(prepared: Prepared, view: View, pruning: Pruning) -> None:
    look.step(None, "The heads of this union", LEAD)
    merge, scores = pruning.taken(view.union or None), prepared.scores
    flap = keep_mask(scores.flap, merge.flap_cliff.sparsity)
    contrastive = keep_mask(scores.contrastive_flap, merge.contrastive_cliff.sparsity)
    both = int((flap & contrastive).sum())
    look.note(
        f"{union_words(merge.name)}: {merge.size} of {look.count(merge.mask.numel(), 'head')}. Both lists admit "
        f"{both}, FLAP alone {int(flap.sum()) - both}, C-FLAP alone {int(contrastive.sum()) - both}."
    )
    figure = drawn(
        heatmap_figure, scores.contrastive_flap, name=score_views.BAR_NAMES["contrastive_flap"], dark=is_dark(),
        kept=merge.mask,
    )  # fmt: skip
    head = state.selected_head(prepared.model.n_layers, prepared.model.n_heads)
    chart(
        figure, "union_map", "Map of C-FLAP scores; heads of the union are ringed",
        identity=background.data_of(prepared.settings), on_click=_clicked,
        selected={"x": head.index, "y": head.layer} if head is not None else None,
    )  # fmt: skip
    with st.expander("These heads as a table, and as CSV", key="twin_union_heads"):
        rows = [
            row
            for row in ranked_rows(scores.flap, scores.contrastive_flap, flap, contrastive)
            if row["kept by"] != "neither"
        ]
        st.dataframe(rows, hide_index=True, height=320)
        look.download("Heads of the union as CSV", lambda: rows_csv(rows), "union-heads.csv", "text/csv")


def _clicked(data: list) -> None:
    """A head ``[layer, index]``."""
    state.change(head=str(Head(int(data[0]), int(data[1]))))
