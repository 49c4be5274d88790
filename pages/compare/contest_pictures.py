"""The table's numbers as pictures: size against faithfulness, and cost; with their twin and downloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from engine.figures.contest import contest_figure, contest_rows, cost_figure
from engine.figures.export import figure_html, rows_csv
from engine.prepare import Prepared
from engine.views.contest_table import ContestRow
from pages.shared import background, look
from pages.shared.chart import chart, drawn, is_dark

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SCATTER = "Every search by the heads of its circuit and their faithfulness, with its interval"
BARS = "Every search by the work of its whole run in GFLOP"


def show(prepared: Prepared, names: tuple[str, ...], rows: tuple[ContestRow, ...]) -> None:
    identity, dark = background.data_of(prepared.settings), is_dark()
    with st.container(key="contest_pictures"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("##### Small and true?")
        look.note(
            "Small circuits to the left, true ones near the dotted line, the whole model. Diamonds searched among all "
            "heads; bars are 95 % intervals."
        )
        scatter = drawn(contest_figure, names, rows, dark=dark)
        chart(scatter, "contest_scatter", SCATTER, identity=identity)
    with right:
        st.markdown("##### What each took")
        look.note("The whole run in GFLOP, and in seconds on this machine. Hatched: among all heads.")
        bars = drawn(cost_figure, names, rows, dark=dark)
        chart(bars, "contest_costs", BARS, identity=identity)
    _twin(names, rows, (scatter, bars), dark)


def _twin(names: tuple[str, ...], rows: Sequence[ContestRow], figures: tuple[Figure, Figure], dark: bool) -> None:
    table = contest_rows(names, rows)
    with st.expander("All numbers as a table, and downloads", key="twin_contest"):
        st.dataframe(table, hide_index=True)
        with st.container(horizontal=True):
            look.download("Table as CSV", lambda: rows_csv(table), "algorithms.csv", "text/csv")
            for figure, name in zip(figures, ("Plot", "Costs"), strict=True):
                look.download(
                    f"{name} as HTML", lambda figure=figure, name=name: figure_html(figure, name, dark),
                    f"algorithms-{name.lower()}.html", "text/html",
                )  # fmt: skip
