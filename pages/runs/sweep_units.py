"""Every run of a sweep as a table: select one to open it."""

from __future__ import annotations

import streamlit as st

from engine.figures.tables import Row
from engine.sweep.state import SweepState, SweepUnit, UnitState
from pages.shared import look, rooms
from pages.shared.job_names import model_title, task_title

STATES = {UnitState.WAITING: "… waiting", UnitState.DONE: "✓ done", UnitState.FAILED: "✗ failed"}
HEIGHT = 420  # pixels at most


def show(sweep: SweepState) -> None:
    rows = unit_rows(sweep)
    look.note("Select a run to open it; a resample has numbers alone.")
    st.dataframe(
        rows, key="sweep_units", on_select="rerun", selection_mode="single-row", hide_index=True,
        height=min(HEIGHT, 38 + 35 * len(rows)), placeholder="–",
        alt="Every run of the sweep, one a row",
        column_config={
            "method": st.column_config.TextColumn(pinned=True),
            "faithfulness": st.column_config.NumberColumn(format="%.3f"),
            "performance %": st.column_config.NumberColumn(format="%.1f"),
            "seconds": st.column_config.NumberColumn(format="%.1f"),
            "GFLOP": st.column_config.NumberColumn(format="%.1f"),
        },
    )  # fmt: skip
    picked = st.session_state["sweep_units"]["selection"]["rows"]
    if picked and picked[0] < len(sweep.units):
        _picked(sweep.units[picked[0]])
    look.download("Results as CSV", lambda: _csv(sweep), f"sweep-{sweep.id}.csv", "text/csv")


def _csv(sweep: SweepState) -> str:
    from engine.sweep.place import table  # as the sweep itself writes it

    return table(sweep.units)


def unit_rows(sweep: SweepState) -> list[Row]:
    """One row a run; numbers that were not measured stay empty."""
    return [_row(unit) for unit in sweep.units]


def _row(unit: SweepUnit) -> Row:
    numbers, flops = unit.numbers, unit.numbers.get("flops")
    return {
        "method": unit.method, "seed": unit.seed, "resample": unit.resample, "state": STATES[unit.state],
        "task": task_title(unit.task), "model": model_title(unit.model), "heads": numbers.get("heads"),
        "edges": numbers.get("edges"), "performance %": numbers.get("performance"),
        "faithfulness": numbers.get("faithfulness"), "seconds": numbers.get("seconds"),
        "GFLOP": None if flops is None else flops / 1e9, "error": unit.error,
    }  # fmt: skip


def _picked(unit: SweepUnit) -> None:
    if unit.state is UnitState.FAILED:
        look.verdict("Failed.", unit.error or "For a reason that is not known.", "no")
    elif unit.run is not None:
        rooms.link("runs", "Open this run", run=unit.run, head=None, edge=None)
    elif unit.state is UnitState.WAITING:
        look.note("It has not been run yet.")
    else:
        look.note("A resample has numbers alone; its run is the one without a resample’s number.")
