"""What a run takes by stage: predicted, and measured as far as it has been."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from engine.cost.ledger import CostRow
from engine.figures.export import rows_csv
from engine.figures.tables import WHOLE_RUN, Row, cost_rows
from pages.shared import look

COLUMNS = ("predicted s", "measured s", "predicted passes", "measured passes")
HEAD = (
    '<tr><th rowspan="2">stage</th><th colspan="2">seconds</th><th colspan="2">forward passes</th></tr>'
    "<tr>" + "<th>predicted</th><th>measured</th>" * 2 + "</tr>"
)
LEAD = (
    "Predicted before the search, from the formulas of the work and this machine’s speed; what it will visit from a "
    "look ahead on three pairs, where there are pairs enough. A forward pass is one over all pairs."
)


def show(predicted: Sequence[CostRow], measured: Sequence[CostRow]) -> None:
    with st.expander("Time and work by stage", key="by_stage"):
        rows = cost_rows(predicted, measured)
        look.note(LEAD)
        st.html(f'<table class="hl-table"><thead>{HEAD}</thead><tbody>{"".join(map(_row, rows))}</tbody></table>')
        look.download("Cost as CSV", lambda: rows_csv(rows), "cost.csv", "text/csv")


def _row(row: Row) -> str:
    cells = "".join(f"<td>{_few_digits(row[column])}</td>" for column in COLUMNS)
    mark = ' class="total"' if row["stage"] == WHOLE_RUN else ""
    return f"<tr{mark}><th>{escape(str(row['stage']))}</th>{cells}</tr>"


def _few_digits(value: object) -> str:
    """``0.03``, ``3.1``, ``1,203``; a dash for what is not known."""
    if not isinstance(value, float):
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
