"""How the heads' scores differ, and whose ranks moved."""

from __future__ import annotations

from typing import Any

import streamlit as st
import torch
from torch import Tensor

from engine.figures.export import rows_csv
from engine.figures.heatmap import heatmap_figure
from engine.figures.ranks import rank_figure
from engine.figures.results import SCORE_NAMES
from engine.figures.tables import Row
from engine.heads import Head, mask_of
from engine.scores.kinds import MEASURED, TITLES, Score
from engine.views.compare import rank_moves, ranks_of
from pages.compare.choice import Pair
from pages.compare.heads import pick
from pages.shared import look, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.score_views import UNITS
from pages.shared.view import View

MOST_MOVES = 20  # ranks of either side drawn
NAMES = {score.value: TITLES[score] for score in MEASURED}


def show(pair: Pair, view: View) -> None:
    look.step(
        None, "Scores",
        f"{term('C-FLAP')} and {term('FLAP')} rank heads before any patching. First the difference, right − left: "
        "orange heads score higher on the right. Then the ranks of each run’s highest heads.",
    )  # fmt: skip
    name = _which(pair, view)
    left, right = pair.left.summary.scores[name], pair.right.summary.scores[name]
    if torch.equal(left, right):
        look.empty(
            "The same scores on both sides",
            "Scores depend on the model and its prompts, and these runs share them: no difference, no rank moved.",
        )
    else:
        _figures(pair, name, left, right)
    _twin(pair, name)


def _which(pair: Pair, view: View) -> str:
    """The view's score, or C-FLAP where that is one which not both runs have by themselves."""
    both = [name for name in NAMES if all(name in run.summary.scores for run in (pair.left, pair.right))]
    name = view.score if view.score in both else "contrastive_flap"
    state.show("score", name)
    st.segmented_control("Score", both, format_func=NAMES.__getitem__, required=True, **state.bound("score"))
    return name


def _figures(pair: Pair, name: str, left: Tensor, right: Tensor) -> None:
    head, dark, title = state.selected_head(*pair.left.summary.shape), is_dark(), SCORE_NAMES[name]
    moves = rank_moves(left, right, MOST_MOVES)
    identity = (pair.left.id, pair.right.id)
    first, second = st.columns(2, gap="medium")
    with first:
        st.markdown("##### Score difference")
        unit = UNITS[Score(name)]
        what = "in standard deviations of a layer’s channels" if unit == "z" else f"as {unit}"
        look.note(f"{title}, right − left, {what}.")
        chart(
            drawn(_difference, left, right, name, head, dark), "compare_map",
            f"Map of the differences of the {title} scores of all heads, right minus left.", identity=identity,
            on_click=pick,
        )  # fmt: skip
    with second:
        st.markdown("##### Rank moves")
        look.note(f"The {len(moves)} heads among the {MOST_MOVES} highest of either run, of {left.numel()}.")
        chart(
            rank_figure(moves, dark=dark, selected=head), "compare_ranks",
            f"Ranks by {title} of {len(moves)} heads on the left and on the right.", identity=identity, on_click=pick,
        )  # fmt: skip


def _difference(left: Tensor, right: Tensor, name: str, head: Head | None, dark: bool) -> Any:
    bar = f"{SCORE_NAMES[name]}: right − left ({UNITS[Score(name)]})"
    return heatmap_figure(right - left, name=bar, dark=dark, selected=head)


def score_rows(pair: Pair, name: str) -> list[Row]:
    """One row a head, by its rank on the left."""
    left, right = pair.left.summary, pair.right.summary
    n_layers, n_heads = left.shape
    a, b = left.scores[name], right.scores[name]
    before, after = ranks_of(a), ranks_of(b)
    inside = [mask_of(run.circuit.heads, n_layers, n_heads) for run in (left, right)]
    rows: list[Row] = []
    for layer in range(n_layers):
        for index in range(n_heads):
            at = layer, index
            rows.append(
                {
                    "head": str(Head(*at)), "left score": float(a[at]), "right score": float(b[at]),
                    "right - left": float(b[at] - a[at]), "left rank": float(before[at]),
                    "right rank": float(after[at]),
                    "places up": float(before[at] - after[at]), "in left circuit": bool(inside[0][at]),
                    "in right circuit": bool(inside[1][at]),
                }
            )  # fmt: skip
    return sorted(rows, key=lambda row: (row["left rank"], row["right rank"]))


def _twin(pair: Pair, name: str) -> None:
    rows = score_rows(pair, name)
    with st.expander(f"All {len(rows)} heads as a table, and download", key="twin_compare_scores"):
        number = st.column_config.NumberColumn(format="%.3f")
        st.dataframe(
            rows, hide_index=True, height=320,
            column_config={"left score": number, "right score": number, "right - left": number},
        )  # fmt: skip
        look.download(f"{NAMES[name]} of both as CSV", lambda: rows_csv(rows), "compare-scores.csv", "text/csv")
