"""Performance against sparsity for both scores, and the cliff points with why each was taken."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from engine.figures.export import figure_html, rows_csv
from engine.figures.results import SCORE_NAMES
from engine.figures.score_tables import cliff_rows
from engine.figures.sparsity import sparsity_figure
from engine.figures.tables import Row, sweep_rows
from engine.prepare import Prepared
from engine.pruning.sparsity_sweep import Pruning
from engine.settings import Settings
from pages.shared import background, curves, look, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.curves import Curves
from pages.shared.glossary import term
from pages.shared.view import View

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEAD = (
    "Each point keeps the highest-scoring heads and removes the rest. The later a curve falls, the better its score "
    "finds the heads that matter; the grey band is what random heads do. Click a curve to go to its sparsity."
)
ALT = "Performance against sparsity for FLAP and C-FLAP with their cliff points, and a band of random head sets"


def show(prepared: Prepared, view: View, settings: Settings, measured: Curves) -> None:
    look.step(None, "How performance falls", LEAD)
    if measured.pruning is None:
        if measured.live is not None:
            look.empty("No curves yet", "200 head sets are being evaluated; curves, cliffs and unions appear here.")
        curves.progress(settings, measured)
        return
    _sparsity(view)
    _facts(measured.pruning, view)
    figure = drawn(
        sparsity_figure, tuple(measured.pruning.sweeps.values()), band=measured.band, dark=is_dark(),
        sparsity=view.sparsity,
    )  # fmt: skip
    chart(figure, "curves", ALT, identity=background.data_of(settings), on_click=_clicked)
    curves.progress(settings, measured)
    _cliffs(prepared, measured.pruning)
    _twin(measured, figure)


def _sparsity(view: View) -> None:
    state.show("sparsity", view.sparsity)
    st.slider(
        "Sparsity", 0.0, 0.99, step=0.01, format="%.2f", width=360, help="Share of all heads removed.",
        **state.bound("sparsity", read=lambda value: round(value, 2)),
    )  # fmt: skip


def _clicked(data: list) -> None:
    """A point of a curve ``["sparsity", p]``."""
    state.change(sparsity=round(float(data[1]), 2))


def _facts(pruning: Pruning, view: View) -> None:
    """What each list keeps at the slider's sparsity, and how well it does."""
    items = []
    for sweep in pruning.sweeps.values():
        at = min(range(len(sweep.sparsities)), key=lambda i: abs(sweep.sparsities[i] - view.sparsity))
        name = SCORE_NAMES[sweep.score]
        items += [
            look.Fact(f"{name} keeps", f"{sweep.sizes[at]}", "heads", f"at sparsity {view.sparsity:.2f}"),
            look.Fact(
                f"{name} performance", look.number(sweep.performance[at], 1), "%",
                f"faithfulness {look.number(sweep.faithfulness[at], 2)}; mean ablation",
            ),
        ]  # fmt: skip
    look.facts(items)


def _cliffs(prepared: Prepared, pruning: Pruning) -> None:
    st.markdown("##### The cliff points, and why these")
    look.lead(f"Performance is on the {len(prepared.prompts)} pairs the scores come from, by {term('mean ablation')}.")
    st.html(_cliff_table(cliff_rows(list(pruning.sweeps.values()))))


def _cliff_table(rows: list[Row]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(str(row["score"]))}</th><td>{escape(str(row["cliff"]))}</td>'
        f"<td>{row['sparsity']:.2f}</td><td>{row['heads kept']}</td>"
        f"<td>{look.number(float(row['performance %'] or 0), 0)} %</td><td>{escape(str(row['why']))}</td></tr>"
        for row in rows
    )
    names = ("list", "cliff", "sparsity", "heads", "performance", "why")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        f'<div class="hl-wide"><table class="hl-table hl-cliffs"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _twin(measured: Curves, figure: Figure) -> None:
    assert measured.pruning is not None
    sweeps = list(measured.pruning.sweeps.values())
    points, cliffs, dark = sweep_rows(sweeps, measured.band), cliff_rows(sweeps), is_dark()
    with st.expander("The curves as a table, and downloads", key="twin_curves"):
        st.dataframe(points, hide_index=True, height=320)
        with st.container(horizontal=True):
            look.download("Curves as CSV", lambda: rows_csv(points), "curves.csv", "text/csv")
            look.download("Cliff points as CSV", lambda: rows_csv(cliffs), "cliffs.csv", "text/csv")
            look.download("Figure as HTML", lambda: figure_html(figure, "Pruning", dark), "pruning.html", "text/html")
