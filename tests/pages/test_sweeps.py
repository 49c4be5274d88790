"""Sweeps on the Runs page: none, one that runs elsewhere, one that is done, one that failed in part."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from engine.store.home import home
from engine.sweep.place import SweepPlace
from engine.sweep.run import planned
from engine.sweep.spec import read_spec
from engine.sweep.state import SweepState, SweepUnit, UnitState
from pages.runs.sweep_grid import grid_html
from pages.runs.sweep_units import _csv, unit_rows
from pages.shared.background import background
from tests.pages.conftest import OpenApp, texts
from tests.pages.test_runs import APP, ran

SPEC = """
name: which <b>mask</b>
models: [toy-induction]
tasks: [induction-random]
methods:
  app: {sparsity: auto}
  dense: {method: dense}
seeds: [0, 1]
pairs: 4
"""


def sweep_of(*changes: dict) -> SweepState:
    """A sweep on disk whose units, in order, are as told: app 0, app 1, dense 0, dense 1."""
    spec = read_spec(SPEC)
    place = SweepPlace(spec.id)
    (place.folder / "units").mkdir(parents=True, exist_ok=True)
    fresh = planned(spec, place)
    units = tuple(replace(unit, **change) for unit, change in zip(fresh.units, changes, strict=True))
    state = replace(fresh, units=units, began=1000.0, updated=1060.0, session_began=1000.0, session_done=2)
    place.write_state(state)
    background().kept.changed()
    return state


def done(heads: float, faithfulness: float, run: str | None = None) -> dict:
    return {"state": UnitState.DONE, "run": run, "numbers": {"heads": heads, "faithfulness": faithfulness}}


def test_without_sweeps_the_page_says_how_to_begin_one(open_app: OpenApp) -> None:
    app = open_app("runs", shelf="sweeps")
    assert "No sweep yet" in texts(app) and app.code and not app.exception


def test_a_sweep_that_was_stopped_shows_how_far_it_is(open_app: OpenApp) -> None:
    state = sweep_of(done(2, 0.9), done(4, 0.8), {}, {"state": UnitState.FAILED, "error": "no <i>room</i>"})
    app = open_app("runs", shelf="sweeps")
    page = texts(app)
    assert not app.exception and "1 sweep" in page and "2 of 4 runs done" in page.replace("\\", "")
    assert "1 failed" in page and "goes on where it was" in page and "<b>mask</b>" not in page.replace("\\<", "")
    app = open_app("runs", shelf="sweeps", sweep=state.id)
    grid = texts(app)
    assert "<b>0.850</b><span>2 of 2</span>" in grid, "the mean over both seeds"
    assert "0 of 2, 1 failed" in grid and "no &lt;i&gt;room" in grid and not app.exception
    app.button_group("view_sweep_shows").set_value("heads").run()
    assert app.query_params["sweep_shows"] == "heads" and "<b>3.0</b>" in texts(app)


def test_a_sweep_under_way_is_watched_with_time_left(open_app: OpenApp) -> None:
    state = sweep_of(done(2, 0.9), done(2, 0.9), {}, {})
    with SweepPlace(state.id).held():  # as the process that runs it does
        app = open_app("runs", shelf="sweeps", sweep=state.id)
        assert "running, about 1 min left" in texts(app).replace("\\", ""), "2 units took 60 s, 2 are waiting"
    background().kept.changed()
    assert "not running" in texts(app.run())


def test_a_unit_selected_opens_its_run(open_app: OpenApp) -> None:
    [run] = ran(APP)
    state = sweep_of(done(2, 0.9, run), {}, {}, {"state": UnitState.FAILED, "error": "no room"})
    app = open_app("runs", shelf="sweeps", sweep=state.id)
    app.session_state["sweep_units"] = {"selection": {"rows": [0], "columns": []}}
    app.run()
    [link] = [link for link in app.get("page_link") if link.proto.label == "Open this run"]
    assert f"run={run}" in link.proto.query_string and not app.exception


def test_unknown_and_damaged_sweeps_are_told(open_app: OpenApp) -> None:
    state = sweep_of({}, {}, {}, {})
    (home() / "sweeps" / state.id / "sweep.json").write_text("{")
    background().kept.changed()
    app = open_app("runs", shelf="sweeps", sweep=state.id)
    assert "This sweep is not here" in texts(app) and not app.exception
    assert "was not used" in texts(open_app("runs", shelf="sweeps", sweep="../../etc"))


def test_rows_and_the_file_hold_every_number(open_app: OpenApp) -> None:
    state = sweep_of(done(2, 0.9), {}, {}, {"state": UnitState.FAILED, "error": "=1+1"})
    rows = unit_rows(state)
    assert [row["state"] for row in rows] == ["✓ done", "… waiting", "… waiting", "✗ failed"]
    assert (rows[0]["heads"], rows[0]["faithfulness"], rows[1]["heads"]) == (2, 0.9, None)
    lines = list(csv.DictReader(io.StringIO(_csv(state))))
    assert lines[3]["error"] == "'=1+1", "nothing a spreadsheet would run"


def test_a_grid_cell_counts_runs_without_their_resamples(open_app: OpenApp) -> None:
    state = sweep_of(done(2, 0.5), done(3, 1.0), {}, {})
    resample: SweepUnit = replace(state.units[0], resample=1, numbers={"faithfulness": 100.0})
    html = grid_html(replace(state, units=(*state.units, resample)), "faithfulness")
    assert "<b>0.750</b><span>2 of 2</span>" in html and "<b>–</b><span>0 of 2</span>" in html
