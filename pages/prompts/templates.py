"""How the model does on each template."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.figures.export import rows_csv
from engine.figures.pair_tables import group_rows
from engine.prepare import Prepared
from pages.prompts.pairs import groups_in
from pages.shared import look, state
from pages.shared.glossary import term
from pages.shared.metric_words import METRIC_WORDS

LEAD = (
    "A template group is a template at one token length: {mean} averages within it. One that the model fails says "
    "nothing about how the others are done. Select a row to see its pairs above."
)
KEY = "template_table"


def show(prepared: Prepared) -> None:
    look.step(None, "Accuracy by template", LEAD.format(mean=term("mean ablation")))
    rows = group_rows(groups_in(prepared), prepared.prompts.pairs)
    name, unit, direction, digits = METRIC_WORDS[prepared.prompts.metric]
    number = f"%+.{digits}f"
    st.dataframe(
        rows, hide_index=True, key=KEY, on_select=_choose, selection_mode="single-row",
        column_config={
            "accuracy %": st.column_config.ProgressColumn("accuracy", format="%.0f %%", min_value=0, max_value=100),
            "clean metric": st.column_config.NumberColumn("clean", format=number, help=f"mean, {direction}"),
            "corrupted metric": st.column_config.NumberColumn("corrupted", format=number, help="same tokens"),
            "example": st.column_config.TextColumn("example, clean", width="large"),
        },
    )  # fmt: skip
    look.note(
        f"Accuracy: share of the template’s clean prompts after which the answer is preferred. Clean, corrupted: "
        f"{name.lower()}{f' in {unit}' if unit else ''}, {direction}, mean over the template’s pairs."
    )
    look.download("Templates as CSV", lambda: rows_csv(rows), "templates.csv", "text/csv")


def _choose() -> None:
    """The template of the selected row fills the list of pairs."""
    selected: Any = st.session_state[KEY]
    rows = selected["selection"]["rows"]
    state.change(pair_filter=str(rows[0] + 1) if rows else "all", pair_page=1)
