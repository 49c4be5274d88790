"""Against chance: random circuits as large as this one."""

from __future__ import annotations

import math

import streamlit as st

from engine.evaluation.evaluate import Evaluation
from engine.figures.chance import chance_figure, chance_rows
from engine.figures.export import figure_html, rows_csv
from pages.shared import look
from pages.shared.chart import chart, drawn, is_dark
from pages.verification import numbers

LEAD = (
    "Other circuits with as many heads, drawn at random: anywhere in the model, or in every layer as many as the "
    "circuit has there. A circuit worth its name beats them all."
)


def show(found: Evaluation) -> None:
    look.step(None, "Would as many random heads do?", LEAD)
    if not found.random:
        look.empty("No other circuit to compare with", "There is no other set of as many heads to draw.")
        return
    look.verdict(*_verdict(found))
    if any(math.isnan(each.beaten) for each in found.random):
        return
    faithfulness, dark = found.main[0].faithfulness, is_dark()
    figure = drawn(chance_figure, found.random, faithfulness, dark)
    sets = " and ".join(f"{len(each.faithfulness)} of the {each.draw.value}" for each in found.random)
    alt = f"Faithfulness of the circuit beside random circuits, {sets}"
    chart(figure, "chance", alt, identity=numbers.identity(found))
    look.note(
        f"Random circuits: {sets}, seed {found.random[0].seed}; they may share heads with the circuit. Bands run from "
        "the lowest to the highest, ticks are medians. "
        f"{numbers.measured_on(found)}"
    )
    with st.expander("Every random circuit as a table, and downloads", key="twin_chance"):
        rows = chance_rows(found.random)
        st.dataframe(rows, hide_index=True, height=320)
        with st.container(horizontal=True):
            look.download("Random circuits as CSV", lambda: rows_csv(rows), "random-circuits.csv", "text/csv")
            look.download(
                "Dots as HTML", lambda: figure_html(figure, "Against chance", dark), "random-circuits.html", "text/html"
            )


def _verdict(found: Evaluation) -> tuple[str, str, str]:
    """Headline, text and kind."""
    shares = [each.beaten for each in found.random]
    if any(math.isnan(share) for share in shares):
        return "This cannot be told.", "Faithfulness is undefined, so there is nothing to compare.", "wait"
    text = " ".join(
        f"It beats {round(each.beaten * len(each.faithfulness))} of {len(each.faithfulness)} random circuits of the "
        f"{each.draw.value}."
        for each in found.random
    )
    if min(shares) == 1:
        return "Better than chance.", text, "yes"
    return ("No better than chance.", text, "no") if min(shares) < 0.5 else ("Not clearly better.", text, "wait")
