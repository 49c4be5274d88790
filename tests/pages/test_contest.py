"""Search algorithms on one task, in each of the section's states."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.ablation import Ablation
from engine.errors import HeadlightError
from engine.evaluation.bootstrap import Interval
from engine.settings import Algorithm, Method, Settings
from engine.views.contest_table import ContestRow
from pages.compare import contest_best, contest_costs, contest_lines
from pages.compare.entries import Entry, Line, entries_of, names_of, standard_of
from pages.shared import runs, search_jobs, work
from pages.shared.view import View
from pages.shared.work import result_of
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts
from tests.pages.test_compare import ran
from tests.pages.test_path_patching import Held

APP = Settings(model="toy-induction", task="induction-random", pairs=4, sparsity=0.5)
DENSE = APP.densely()
EAP = replace(APP, algorithm=Algorithm.EAP)
RINGED = {"comparing": "searches", "among": "ringed", "sparsity": "0.5"}


def opened(open_app: OpenApp, **params: str) -> AppTest:
    app = open_app("compare", **{**RINGED, **params})
    return run_until(app, lambda app: "hl-search head" in texts(app))


def key(kind: str, settings: Settings) -> str:
    return f"{kind}_{runs.id_of(settings)}"


def table(app: AppTest) -> Any:
    return next(frame.value for frame in app.dataframe if "algorithm" in frame.value)


def test_before_any_run_every_search_has_its_estimate_and_a_button(open_app: OpenApp) -> None:
    app = opened(open_app)
    page = texts(app)
    assert not app.exception and not app.error
    assert page.count("Not run yet: ≈ 1 s") == 5 and "of pruning" not in page
    assert app.button("run_all").label == "Run all 5 that are missing" and "≈ 1 s together" in page
    assert all(has_button(key("start", settings))(app) for settings in (APP, DENSE, EAP))
    assert not app.dataframe and "are of each circuit’s heads alone" not in page and not has_button("cancel_all")(app)


def test_all_are_run_by_one_click_and_then_compared(open_app: OpenApp) -> None:
    app = opened(open_app)
    app.button("run_all").click().run()
    app = run_until(app, lambda app: bool(app.dataframe) and len(table(app)) == 5)
    rows = table(app).set_index("search")
    assert list(rows.index) == ["APP", "Dense path patching", "ACDC", "EAP", "EAP-IG"]
    assert rows["complete"].all() and (rows["seed"] == 1).all() and (rows["ablation"] == "mean").all()
    found = result_of(search_jobs.search_job(EAP)).verification
    assert rows.loc["EAP", "faithfulness"] == found.faithfulness
    assert rows.loc["EAP", "faithfulness, low"] == found.interval.low
    assert rows.loc["APP", "recall, heads"] == 1 and rows.loc["Dense path patching", "jaccard, edges"] == 1
    page = texts(app)
    assert "Not run yet" not in page and "4 pairs of seed 1, by mean ablation" in page and "<em>stopped" not in page
    assert "Smallest" in page and "Least work" in page and not has_button("run_all")(app)
    assert not app.exception and not app.error

    app.button("equal_edges").click().run()
    assert app.query_params["top_edges"] == "2" and texts(app).count("2 edges at most") == 2
    assert texts(app).count("100 edges at most") == 2  # those that were run stay in the table
    assert not has_button("equal_edges")(app)


def test_a_run_waits_for_the_standard_to_be_held_against(open_app: OpenApp) -> None:
    ran(APP)
    app = opened(open_app)
    page = texts(app)
    assert "Shares wait for dense path patching" in page and "Smallest" not in page
    assert table(app)["precision, heads"].isna().all() and len(table(app)) == 1
    app.button(key("start", DENSE)).click().run()
    app = run_until(app, lambda app: len(table(app)) == 2)
    assert "Shares wait" not in texts(app) and (table(app)["precision, heads"] == 1).all() and not app.exception


def test_the_automatic_union_is_swept_once_and_for_all(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = []
    curve = work.curve
    monkeypatch.setattr(work, "curve", lambda *arguments: swept.append(1) or curve(*arguments))
    app = opened(open_app, among="all", sparsity="0.75")
    assert "after ≈ 1 s of pruning" in texts(app)
    app.button("run_all").click().run()
    app = run_until(app, lambda app: bool(app.dataframe) and len(table(app)) == 5)
    assert len(swept) == 1
    found = [result_of(search_jobs.search_job(replace(APP, sparsity=None, algorithm=each))) for each in Algorithm]
    assert all(each.pruning is found[0].pruning for each in found)


def test_all_heads_too_and_other_settings_are_in_the_table(open_app: OpenApp) -> None:
    few = replace(EAP, top_edges=3)
    ran(EAP, few)
    app = opened(open_app)
    assert list(table(app)["search"]) == ["EAP · 100 edges at most", "EAP · 3 edges at most"]
    app.toggle("view_dense_too").set_value(True).run()
    assert app.query_params["dense_too"] == "1"
    assert "ACDC, all heads" in texts(app) and has_button(key("start", EAP.densely()))(app)
    assert app.button("run_all").label == "Run all 7 that are missing" and not app.exception


def test_running_and_cancelled(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    search = work.search
    monkeypatch.setattr(work, "search", lambda behind, settings, inner: search(behind, settings, Held(inner)))
    app = opened(open_app)
    app.button(key("start", DENSE)).click().run()
    app.button(key("start", APP)).click().run()
    app = run_until(app, lambda app: "so far" in texts(app) and "Waiting: 1 other job first." in texts(app))
    assert 'role="progressbar" aria-label="Dense path patching"' in texts(app) and has_button("cancel_all")(app)
    job = search_jobs.search_job(DENSE)
    assert job is not None
    run_until(app, lambda app: bool(job.snapshot().steps))
    app.button("cancel_all").click().run()
    app = run_until(app, lambda app: not has_button("cancel_all")(app) and bool(app.dataframe))
    page = texts(app)
    assert "stopped: its part, not verified" in page and "Cancelled before it had found anything." in page
    assert "Shares wait" in page  # half a standard is none
    assert app.button(key("start", APP)).label == app.button(key("start", DENSE)).label == "Start again"
    assert table(app)["faithfulness"].isna().all() and not app.exception


def test_one_that_failed_says_why_and_can_be_tried_again(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def broken(*arguments: object) -> None:
        gate.wait(PATIENCE)
        raise HeadlightError("No <b>luck</b>.")

    monkeypatch.setattr(work, "search", broken)
    app = opened(open_app)
    app.button(key("start", EAP)).click().run()
    gate.set()
    app = run_until(app, lambda app: "Failed:" in texts(app))
    assert "Failed: No &lt;b&gt;luck&lt;/b&gt;." in texts(app) and not app.exception
    assert app.button(key("start", EAP)).label == "Start again"


def test_a_model_without_gradients_is_not_offered_eap(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.compare import contest

    only_hooks = lambda model, algorithm: algorithm not in (Algorithm.EAP, Algorithm.EAP_IG)  # noqa: E731
    for module in (contest, contest_costs):
        monkeypatch.setattr(module, "serves", only_hooks)
    app = opened(open_app)
    assert texts(app).count("EAP needs gradients") == 2 and not has_button(key("start", EAP))(app)
    assert app.button("run_all").label == "Run all 3 that are missing" and not app.exception


def test_the_switch_stands_in_the_address(open_app: OpenApp) -> None:
    app = open_app("compare")
    assert "No runs yet" in texts(app)
    app.button_group("view_comparing").set_value("searches").run()
    assert app.query_params["comparing"] == "searches"
    app = run_until(app, has_button("run_all"))
    assert "No runs yet" not in texts(app) and not app.exception


def test_the_searches_of_a_view(open_app: OpenApp) -> None:
    view = View(model="toy-induction", task="induction-random", pairs=4, among="ringed", sparsity=0.5, tolerance=0.03)
    entries = entries_of(view)
    assert [entry.title for entry in entries] == ["APP", "Dense path patching", "ACDC", "EAP", "EAP-IG"]
    assert {entry.settings.sparsity for entry in entries if entry.settings.method is Method.APP} == {0.5}
    assert entries[2].about == ("inside the C-FLAP mask at sparsity 0.50", "screened, tolerance 0.03")
    every = entries_of(replace(view, among="all", dense_too=True, grid=True))
    assert [entry.settings.method.value for entry in every] == ["app", "dense"] * 4
    assert every[0].settings.sparsity is None
    assert every[0].about[1] == every[1].about[1] == "screened, grid of thresholds"


def test_all_search_the_same_nodes_and_a_run_with_mlps_is_told_apart(open_app: OpenApp) -> None:
    with_mlps = replace(APP, mlps=True)
    ran(with_mlps, DENSE)
    assert not any(entry.settings.mlps for entry in entries_of(View(among="ringed", sparsity=0.5, mlps=True)))
    assert not standard_of(View(mlps=True)).mlps
    app = opened(open_app, mlps="1")
    assert not app.exception
    assert list(table(app)["search"]) == ["Dense path patching", "APP"] and "MLPs as nodes" in texts(app)
    assert "MLPs as nodes" in runs.known()[runs.id_of(with_mlps)].name


def test_names_tell_apart_what_has_one_title() -> None:
    searches = [APP, EAP, replace(EAP, top_edges=3), replace(EAP, sparsity=0.6)]
    lines = [Line(None, None, Entry("EAP" if each.algorithm is Algorithm.EAP else "APP", each)) for each in searches]
    assert names_of(lines[:3]) == ("APP", "EAP · 100 edges at most", "EAP · 3 edges at most")
    assert names_of(lines)[3] == "EAP · 100 edges at most · inside the C-FLAP mask at sparsity 0.60"


def row(size: int, faithfulness: float, gigaflops: float, complete: bool = True) -> ContestRow:
    interval = Interval(faithfulness, faithfulness - 0.1, faithfulness + 0.1, 4, 10)
    return ContestRow(
        Algorithm.EAP, Method.APP, 12, size, 5, 90.0, faithfulness, interval, 4, 1, Ablation.MEAN, None, None,
        gigaflops, 2.0, complete,
    )  # fmt: skip


def test_who_is_ahead() -> None:
    rows = [row(5, 1.3, 7.0), row(3, 0.8, 7.0), row(1, 0.0, 1.0, complete=False), row(0, 0.9, 0.5)]
    smallest, truest, cheapest = contest_best.best_facts(["a", "b", "c", "d"], rows)
    assert (smallest.value, smallest.note) == ("3", "b, of 2")  # neither a part nor an empty circuit
    assert (truest.value, truest.note) == ("0.80", "b, of 2")
    assert (cheapest.value, cheapest.note) == ("7.0", "a and 1 other, of 2")
    assert contest_best.best_facts(["a"], rows[:1]) == []


def test_a_line_of_numbers_escapes_and_leaves_out() -> None:
    line = Line(None, None, Entry("<i>EAP", EAP))
    text = contest_lines.numbers(line, row(5, float("nan"), 1234.0))
    assert "&lt;i&gt;EAP" in text and "<i>EAP" not in text
    assert ">–</span>" in text and "1,234" in text
