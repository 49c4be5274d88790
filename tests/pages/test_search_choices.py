"""How effects are measured and which thresholds are tried: chosen, kept in the URL, and told with the result."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.patching.screening import Screening
from engine.progress import Watcher
from engine.search.grid import GRID
from pages.explorer.search_choices import GRID_WORDS, MODE_WORDS
from pages.shared import search_jobs, work
from pages.shared.search_run import describe, screened_words
from pages.shared.view import View
from tests.pages.conftest import OpenApp, has_button, run_until, texts
from tests.pages.test_explorer import found, ready

MODE, SCALE, MIN_EFFECT = "view_mode", "view_threshold_scale", "view_min_effect"


def mode_of(app: AppTest) -> Any:
    return next(group for group in app.button_group if group.key == MODE)


def result_at(app: AppTest) -> Discovery:
    """What the search of the settings the URL asks for found."""
    fields = {name: app.query_params[name] for name in ("model", "task")}
    fields |= {name: app.query_params[name] for name in ("mode", "among") if name in app.query_params}
    view = View(**fields, pairs=4, grid="grid" in app.query_params)
    return work.result_of(search_jobs.search_job(view.settings()))


def columns_of(app: AppTest, name: str) -> dict[str, list[Any]]:
    """The table that has a column ``name``."""
    frames = [frame.value for frame in app.dataframe if name in frame.value.columns]
    assert len(frames) == 1, [list(frame.value.columns) for frame in app.dataframe]
    return frames[0].to_dict("list")


def test_the_mode_is_explained_and_stands_in_the_url(open_app: OpenApp) -> None:
    app = run_until(open_app(), ready)
    assert mode_of(app).value == "screened" and "mode" not in app.query_params
    assert MODE_WORDS["screened"] in texts(app) and MODE_WORDS["exact"] not in texts(app)
    mode_of(app).set_value("exact").run()
    assert app.query_params["mode"] == "exact" and MODE_WORDS["exact"] in texts(app)
    again = run_until(open_app(mode="exact"), ready)
    assert mode_of(again).value == "exact"
    mode_of(again).set_value("screened").run()
    assert "mode" not in again.query_params and not again.exception


def test_exact_and_screened_find_the_same_circuit_and_say_how(open_app: OpenApp) -> None:
    screened, exact = found(open_app, among="all"), found(open_app, among="all", mode="exact")
    assert result_at(screened).circuit == result_at(exact).circuit
    assert result_at(screened).screening is not None and result_at(exact).screening is None
    known = result_at(screened).screening
    assert f"{known.recomputed} of {known.estimated} estimated paths, every edge among them" in texts(screened)
    assert f"off by at most {known.largest:.3f} of clean − corrupted" in texts(screened)
    assert "Every path was patched exactly." in texts(exact) and "estimated path" not in texts(exact)
    assert "effects screened" in texts(screened) and "effects exact, every path patched" in texts(exact)


def test_where_nothing_was_recomputed_no_disagreement_is_told() -> None:
    words = screened_words(Screening(5, 0, float("nan")))
    assert "5 estimated paths" in words and "nan" not in words and "off by" not in words
    assert "1 of 1 estimated path, every edge among them" in screened_words(Screening(1, 1, 0.25))


def test_the_grid_puts_the_two_thresholds_aside_and_stands_in_the_url(open_app: OpenApp) -> None:
    app = run_until(open_app(threshold_scale="1.5"), ready)
    assert not app.number_input(SCALE).disabled and GRID_WORDS not in texts(app)
    app.toggle("view_grid").set_value(True).run()
    assert app.query_params["grid"] == "1" and GRID_WORDS in texts(app)
    assert app.number_input(SCALE).disabled and app.number_input(MIN_EFFECT).disabled
    assert app.number_input(SCALE).value == 1.5  # they wait
    again = run_until(open_app(grid="1", threshold_scale="1.5"), ready)
    assert again.toggle("view_grid").value
    again.toggle("view_grid").set_value(False).run()
    assert "grid" not in again.query_params and not again.number_input(SCALE).disabled


def test_after_a_grid_its_points_are_shown_with_the_one_taken_and_why(open_app: OpenApp) -> None:
    app = found(open_app, grid="1", among="all")
    grid = result_at(app).grid
    assert grid is not None
    page, taken = texts(app), grid.points[grid.chosen]
    scale, least = taken.thresholds.scale, taken.thresholds.min_effect
    assert f"s {scale:g} with smallest effect {least:g} was taken: {grid.reason}" in page
    assert page.count('<td class="taken">') == 1 and page.count("<td") >= len(GRID)
    assert f"{scale:g} · {least:g}" in page and "taken of the grid’s 16 pairs" in page
    rows = columns_of(app, "taken")
    assert list(zip(rows["threshold scale s"], rows["smallest effect"], strict=True)) == [
        (thresholds.scale, thresholds.min_effect) for thresholds in GRID
    ]
    assert rows["taken"].index(True) == grid.chosen and sum(rows["taken"]) == 1
    assert rows["heads"] == [point.size for point in grid.points]


def test_without_the_grid_no_grid_is_shown(open_app: OpenApp) -> None:
    app = found(open_app)
    assert "hl-grid" not in texts(app) and "as chosen" in texts(app) and not app.exception


def test_the_head_card_marks_which_effects_are_estimates(open_app: OpenApp) -> None:
    screened = found(open_app, among="all", head="0.1")
    kinds = columns_of(screened, "kind")
    assert set(kinds["kind"]) == {"exact", "estimate"}
    assert [kinds["kind"][i] for i, inside in enumerate(kinds["in the circuit"]) if inside] == ["exact"]
    guesses = kinds["kind"].count("estimate")
    assert f"{guesses} of {len(kinds['kind'])} effects" in texts(screened)
    exact = found(open_app, among="all", head="0.1", mode="exact")
    assert set(columns_of(exact, "kind")["kind"]) == {"exact"}
    assert "too weak for an edge" not in texts(exact)


def test_the_head_card_shows_who_reaches_it_through_which_input(open_app: OpenApp) -> None:
    app = found(open_app, among="all", head="1.2")
    assert "Who reaches it" in texts(app) and "Hatched bars are" in texts(app)
    letters = next(group for group in app.button_group if group.key == "reached_1.2")
    letters.set_value("k").run()
    rows = columns_of(app, "threshold")
    important = [rows["sender"][i] for i, counts in enumerate(rows["important"]) if counts]
    assert important == ["0.1"] and rows["kind"][rows["sender"].index("0.1")] == "exact"
    assert "estimate" in rows["kind"] and not app.exception
    exact = found(open_app, among="all", head="1.2", mode="exact")
    assert "Hatched" not in texts(exact) and set(columns_of(exact, "threshold")["kind"]) == {"exact"}
    exact.selectbox("card_head").set_value("0.1").run()
    assert "Who reaches it" not in texts(exact)  # nothing lies below it


def stage_cells(app: AppTest) -> dict[str, list[str]]:
    """The cost table: stage to its cells, as shown."""
    html = next(element.proto.body for element in app.get("html") if "<th>predicted</th>" in element.proto.body)
    body = html.partition("<tbody>")[2]
    rows = [row.split("<th>")[1] for row in body.split("</tr>") if "<th>" in row]
    return {row.partition("</th>")[0]: [cell.partition("</td>")[0] for cell in row.split("<td>")[1:]] for row in rows}


def test_the_cost_is_predicted_by_stage_and_then_stands_beside_what_was_measured(open_app: OpenApp) -> None:
    app = run_until(open_app(among="all"), ready)
    assert "Whole run, estimated" in texts(app) and "Search, estimated" in texts(app)
    before = stage_cells(app)
    assert list(before)[-1] == "whole run" and before["sender sweep"][1::2] == ["–", "–"]
    assert before["calibration"][3] == "2.0"  # done already
    app = found(open_app, among="all")
    after = stage_cells(app)
    assert all("–" not in cells for cells in after.values())
    assert after["sender sweep"][2] == before["sender sweep"][2]  # as predicted before the run
    passes = sum(row.forward_passes for row in result_at(app).cost)
    assert after["whole run"][3] == (f"{passes:,.0f}" if passes >= 10 else f"{passes:.1f}")


def test_a_search_that_failed_says_so_and_keeps_the_choices(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(behind: object, settings: object, watcher: Watcher) -> None:
        raise HeadlightError("Not enough <memory>. Take fewer pairs.")

    monkeypatch.setattr(work, "search", broken)
    app = run_until(open_app(grid="1", mode="exact"), ready)
    app.button("start_search").click().run()
    app = run_until(app, lambda app: has_button("start_search")(app) and bool(app.error))
    assert r"Not enough \<memory\>\. Take fewer pairs\." in app.error[0].value
    assert app.button("start_search").label == "Search again" and "Search, estimated" in texts(app)
    assert mode_of(app).value == "exact" and app.toggle("view_grid").value and not app.exception


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (View(), "inside the automatic union, screened, threshold scale 2, smallest effect 0.01"),
        (View(among="all", mode="exact", grid=True), "among all heads, exact, a grid of thresholds"),
    ],
)
def test_settings_are_said_in_words(view: View, words: str) -> None:
    assert describe(view.settings()) == words
