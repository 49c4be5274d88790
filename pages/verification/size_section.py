"""Faithfulness by circuit size, with the two areas that benchmarks compare."""

from __future__ import annotations

import streamlit as st

from engine.evaluation.evaluate import Evaluation
from engine.figures.by_size import by_size_figure, by_size_rows
from engine.figures.export import figure_html, rows_csv
from pages.shared import look
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.verification import numbers

LEAD = (
    "Heads join one by one: those of the circuit by their strongest edge, then all others by C-FLAP. The two areas, "
    f"{term('CPR')} and {term('CMD')}, do not depend on where a circuit is cut off."
)


def show(found: Evaluation) -> None:
    look.step(None, "How faithful at every size?", LEAD)
    sizes = found.by_size
    look.facts(
        [
            numbers.fact("CPR", sizes.cpr, 3, "", "area under the curve; higher is better, 1 is the whole model"),
            numbers.fact("CMD", sizes.cmd, 3, "", "area between curve and whole model; lower is better"),
        ]
    )
    if not sizes.cpr.defined:
        look.note(sizes.note)
        return
    dark = is_dark()
    own = (len(found.circuit.heads), found.main[0].faithfulness)
    figure = drawn(by_size_figure, sizes, own, dark)
    chart(
        figure, "by_size", f"Faithfulness of nested circuits of {sizes.sizes[0]} to {sizes.sizes[-1]} heads",
        identity=numbers.identity(found),
    )  # fmt: skip
    look.note(
        "The axis of sizes is stretched at its small end; the areas are taken on a plain one. "
        f"{numbers.measured_on(found)}"
    )
    with st.expander("Every size as a table, and downloads", key="twin_sizes"):
        rows = by_size_rows(sizes)
        st.dataframe(rows, hide_index=True)
        with st.container(horizontal=True):
            look.download("Sizes as CSV", lambda: rows_csv(rows), "faithfulness-by-size.csv", "text/csv")
            look.download(
                "Curve as HTML", lambda: figure_html(figure, "Faithfulness by size", dark),
                "faithfulness-by-size.html", "text/html",
            )  # fmt: skip
