"""The same circuit as two tables; a row chosen there is selected in the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from engine.behaviour.roles import Finding, Role
from engine.circuit import Circuit
from engine.figures.circuit_tables import LOOKS, circuit_head_rows
from engine.figures.tables import Row, edge_rows
from engine.heads import Head
from engine.settings import Settings
from engine.trust.answer_keys import AnswerKey
from pages.shared import algorithm_words, edges, look, state

LEAD = "Sort by a column; choose a row to select its head or edge."
TABLES = ("Heads", "Edges")


def show(
    circuit: Circuit,
    names: Mapping[Head, str],
    roles: Mapping[Head, tuple[Role, ...]],
    found: Mapping[Head, tuple[Finding, ...]],
    key: AnswerKey | None,
    settings: Settings | None,
) -> None:
    """``settings`` of the run that found it; None for a file, which is trusted to hold what it says."""
    look.step(None, "The circuit as tables", LEAD)
    chosen = st.segmented_control(
        "Table", TABLES, default=TABLES[0], required=True, key="circuit_table", label_visibility="collapsed"
    )
    if chosen == TABLES[0]:
        rows = circuit_head_rows(circuit, names, roles, found, key.roles if key is not None else None)
        _table(rows, "heads_table", _head_columns(measured=bool(found)), lambda row: state.change(head=row["head"]))
        look.note(
            "Effect: sum over the head’s outgoing edges, in units of clean − corrupted. Looks: mean attention over "
            "query positions. Writes: share of the answer’s direct logit difference; empty where it was not measured."
        )
    else:
        rows = edge_rows(circuit)
        _table(rows, "edges_table", _edge_columns(), lambda row: state.change(edge=_edge_of(row)))
        what = "Effects are as the file has them" if settings is None else algorithm_words.edge_words(settings)
        look.note(f"{what}; a mean over all pairs, in units of clean − corrupted.")


def _table(rows: Sequence[Row], key: str, columns: dict[str, Any], choose: Callable[[Row], None]) -> None:
    def pick() -> None:
        picked = st.session_state[key].selection.rows
        if picked and picked[0] < len(rows):
            choose(rows[picked[0]])

    st.dataframe(
        list(rows), hide_index=True, height=min(420, 38 + 35 * max(1, len(rows))), key=key, on_select=pick,
        selection_mode="single-row", column_config=columns,
    )  # fmt: skip


def _edge_of(row: Row) -> str:
    return edges.name(str(row["sender"]), str(row["receiver"]), str(row["input"]))


def _head_columns(measured: bool) -> dict[str, Any]:
    """``measured`` False hides the columns of numbers that nobody has taken."""
    share = st.column_config.NumberColumn(format="%.2f") if measured else None
    text = st.column_config.TextColumn(width="medium")
    return {
        "effect sent": st.column_config.NumberColumn(format="%+.3f", help="clean − corrupted = 1"),
        **dict.fromkeys(("name", "behaves like", "answer key"), text),
        "writes answer %": st.column_config.NumberColumn(format="%.1f") if measured else None,
        "layer": None,
        **dict.fromkeys(LOOKS, share),
    }


def _edge_columns() -> dict[str, Any]:
    return {"effect": st.column_config.NumberColumn("effect (clean − corrupted = 1)", format="%+.4f")}
