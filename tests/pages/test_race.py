"""The race page in each of its states, on the toy model, and what is made of two finished runs."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.circuit import Circuit
from engine.cost.ledger import CostRow
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.figures.export import rows_csv
from engine.heads import Head
from engine.jobs.snapshot import JobState
from engine.pipeline import discover
from engine.progress import Watcher
from engine.settings import Method, Mode, Settings
from pages.race import result, score
from pages.race.contestants import contestants
from pages.shared import background, search_jobs, work
from pages.shared.view import View
from pages.shared.work import result_of
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4)
ready = has_button("start_race")


def over(app: AppTest) -> bool:
    return "Who was faster?" in texts(app)


def raced(open_app: OpenApp, **params: str) -> AppTest:
    app = run_until(open_app("race", **params), ready)
    app.button("start_race").click().run()
    return run_until(app, over)


class Held(Watcher):
    """Passes everything on, but once something is found waits until it is cancelled or let through."""

    def __init__(self, inner: Watcher, entered: threading.Event, through: threading.Event) -> None:
        self.inner, self.entered, self.through = inner, entered, through

    def report(self, stage: str, done: float, total: float) -> None:
        self.inner.report(stage, done, total)

    def found(self, circuit: Circuit) -> None:
        self.inner.found(circuit)
        self.entered.set()
        end = time.monotonic() + PATIENCE
        while not self.inner.cancelled() and not self.through.wait(0.002):
            assert time.monotonic() < end

    def cancelled(self) -> bool:
        return self.inner.cancelled()


Hold = Callable[[Method], tuple[threading.Event, threading.Event]]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """``hold(method)``: that contestant waits once it has found something; returns events: it has, let it through."""
    contest, held = work.contest, {}

    def held_contest(common: Any, settings: Settings, watcher: Watcher) -> Discovery:
        if settings.method in held:
            watcher = Held(watcher, *held[settings.method])
        return contest(common, settings, watcher)

    monkeypatch.setattr(work, "contest", held_contest)

    def held_of(method: Method) -> tuple[threading.Event, threading.Event]:
        held[method] = (threading.Event(), threading.Event())
        return held[method]

    return held_of


def test_before_the_start_both_are_estimated_and_nothing_runs(open_app: OpenApp) -> None:
    app = run_until(open_app("race"), ready)
    page = texts(app)
    assert page.count("Whole run, estimated") == 2 and "No race yet" in page
    for words in ("inside the automatic union", "among all heads", "charged its pruning sweep", "may win"):
        assert words in page
    assert app.button("start_race").label == "Start the race"
    assert search_jobs.search_job(SETTINGS) is None and background.curve_job(SETTINGS) is None
    assert not app.exception and not app.error


def test_a_race_ends_with_costs_overlap_and_truth_and_is_found_again(open_app: OpenApp) -> None:
    app = raced(open_app)
    page = texts(app)
    for words in ("Pruning included:", "sparsity sweep", "whole run", "search alone", "In both: 2 heads",
                  "Only APP: none", "Only dense: none", "n = 4, seed 1", "Jaccard"):  # fmt: skip
        assert words in page
    assert not app.exception and not app.error and not has_button("start_race")(app)
    app_run, dense_run = (result_of(search_jobs.search_job(each.settings)) for each in contestants(view_of(app)))
    assert app_run.pruning is not None and dense_run.settings.method is Method.DENSE
    assert [str(head) for head in app_run.circuit.heads] == ["0.1", "1.2"]

    again = run_until(open_app("race"), over)
    assert "In both: 2 heads" in texts(again) and not again.exception


def test_exact_and_ringed_race_as_well(open_app: OpenApp) -> None:
    app = raced(open_app, mode="exact", among="ringed", sparsity="0.5")
    found = result_of(search_jobs.search_job(contestants(view_of(app))[0].settings))
    assert found.settings.mode is Mode.EXACT and found.settings.sparsity == 0.5 and found.pruning is None
    assert "mask at sparsity 0.50" in texts(app) and not app.exception


def test_with_all_heads_chosen_app_still_prunes(open_app: OpenApp) -> None:
    app, dense = contestants(View(among="all"))
    assert (app.settings.method, app.settings.sparsity) == (Method.APP, None)
    assert dense.settings.method is Method.DENSE and replace(dense.settings, method=Method.APP) == app.settings


def test_each_lane_shows_how_far_it_is_and_one_can_end_before_the_other(open_app: OpenApp, hold: Hold) -> None:
    entered, through = hold(Method.APP)
    app = run_until(open_app("race"), ready)
    app.button("start_race").click().run()
    app = run_until(app, lambda app: "Done: " in texts(app) and entered.is_set())
    app.run()
    assert "1 head and 1 edge" in texts(app)
    page = texts(app)
    assert "forward passes booked" in page and "2 heads and 2 edges" in page and 'class="hl-race"' in page
    assert has_button("cancel_app")(app) and not has_button("cancel_dense")(app) and not over(app)
    through.set()
    assert not run_until(app, over).exception


def test_cancelling_one_keeps_its_part_and_lets_the_other_end(open_app: OpenApp, hold: Hold) -> None:
    entered, _ = hold(Method.APP)
    app = run_until(open_app("race"), ready)
    app.button("start_race").click().run()
    app = run_until(app, lambda app: has_button("cancel_app")(app) and entered.is_set())
    app.button("cancel_app").click().run()
    app = run_until(app, over)
    page = texts(app)
    assert "No winner." in page and "Cancelled: APP." in page and "not verified: cancelled" in page
    assert "Only dense: 1 head" in page  # 1.2 had been found by both
    assert app.button("start_race").label == "Run APP too" and not app.exception
    stopped, whole = (search_jobs.search_job(each.settings).snapshot() for each in contestants(view_of(app)))  # type: ignore[union-attr]
    assert (stopped.state, whole.state) == (JobState.CANCELLED, JobState.DONE)


def test_one_that_fails_is_said_so_and_the_other_ends(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    contest = work.contest

    def failing(common: Any, settings: Settings, watcher: Watcher) -> Discovery:
        if settings.method is Method.DENSE:
            raise HeadlightError("Expected <b>this</b>, got that.")
        return contest(common, settings, watcher)

    monkeypatch.setattr(work, "contest", failing)
    app = run_until(open_app("race"), ready)
    app.button("start_race").click().run()
    app = run_until(app, lambda app: "Half a race" in texts(app))
    page = texts(app)
    assert "Expected &lt;b&gt;this&lt;/b&gt;, got that." in page and "<b>this" not in page
    assert "Already run." in page and app.button("start_race").label == "Run dense too"
    monkeypatch.undo()
    app.button("start_race").click().run()
    assert not run_until(app, over).exception


def test_contestants_without_activations_make_them_once_and_share_them(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page had prepared may be long forgotten when the race's turn comes."""
    run_until(open_app("race"), ready)
    behind, prepare, made, used = background.background(), work.prepare_anew, [], []
    behind.jobs.forget(("ready", background.data_of(SETTINGS)))
    behind.shelf._models.clear()
    monkeypatch.setattr(work, "prepare_anew", lambda *given: made.append(prepare(*given)) or made[-1])
    discovered = work.discovered
    monkeypatch.setattr(
        work,
        "discovered",
        lambda behind, prepared, *given: used.append(prepared) or discovered(behind, prepared, *given),
    )
    pair = [SETTINGS, replace(SETTINGS, method=Method.DENSE)]
    search_jobs.start_race(pair)
    jobs = [search_jobs.search_job(settings) for settings in pair]
    assert all(job is not None and job.wait(PATIENCE) and job.snapshot().result.complete for job in jobs)
    assert len(made) == 1 and used[0] is used[1] and used[0].activations is made[0].activations
    assert used[0].memory.streams < made[0].memory.streams


def view_of(app: AppTest) -> View:
    params = app.query_params
    fields = {name: params[name] for name in ("model", "task", "among", "mode") if name in params}
    sparsity = {"sparsity": float(params["sparsity"])} if "sparsity" in params else {}
    return View(**fields, **sparsity, pairs=4)


@pytest.fixture(scope="module")
def both(toy_model) -> tuple[Discovery, Discovery]:
    return tuple(discover(toy_model, replace(SETTINGS, method=method), Watcher()) for method in Method)  # type: ignore


def costing(found: Discovery, seconds: float, flops: float) -> Discovery:
    rows = (
        CostRow("calibration", 1.0, 2.0, 2e9),
        CostRow("pass 2", seconds, flops / 1e9, flops),
        CostRow("self-check", 100.0, 100.0, 1e12),  # whoever came first did it for both
    )
    return replace(found, cost=rows)


@pytest.mark.parametrize(
    ("app", "dense", "headline", "kind"),
    [
        ((1, 2e9), (5, 10e9), "APP was faster: 3.0 × in time, 3.0 × in work.", "yes"),
        ((5, 10e9), (1, 2e9), "Dense was faster: 3.0 × in time, 3.0 × in work.", "wait"),
        ((1, 2e9), (1.02, 9e9), "Even, as good as.", "wait"),
        ((1, 4e9), (5, 2e9), "APP was faster: 3.0 × in time, though with more work.", "yes"),
    ],
)
def test_the_verdict_counts_all_but_the_self_check(both, app, dense, headline, kind) -> None:
    said = result.verdict(costing(both[0], *app), costing(both[1], *dense))
    assert (said[0], said[2]) == (headline, kind)
    assert ("exact effects cost dense far more" in said[1]) == (headline.startswith("Dense"))


def test_cost_rows_hold_both_by_stage_and_ratios(both) -> None:
    rows = {row["stage"]: row for row in score.cost_rows(costing(both[0], 2, 4e9), costing(both[1], 6, 8e9))}
    assert rows["pass 2"]["APP s"] == 2 and rows["pass 2"]["dense GFLOP"] == 8
    assert rows["pass 2"]["dense ÷ APP, FLOPs"] == 2
    assert rows["whole run"]["APP s"] == 3 and rows["whole run"]["dense passes"] == 10
    assert rows["search alone"]["dense s"] == 6
    real = {row["stage"]: row for row in score.cost_rows(*both)}
    assert real["sparsity sweep"]["dense s"] is None and float(real["sparsity sweep"]["APP GFLOP"] or 0) > 0


def test_what_is_taken_away_reads_back(both) -> None:
    read = json.loads(score.race_json(*both))
    assert read["settings"]["dense"]["method"] == "dense" and read["heads"]["in both"] == ["0.1", "1.2"]
    assert [row["of"] for row in read["overlap"]] == ["heads", "edges"]
    edges = list(csv.DictReader(io.StringIO(rows_csv(score.edge_rows(both[0].circuit, both[1].circuit)))))
    assert {row["in"] for row in edges} == {"both"} and len(edges) == 2
    alone = score.edge_rows(both[0].circuit, Circuit((Head(0, 0),), (), 2, 12))
    assert all(row["in"] == "APP" and row["effect in dense"] is None for row in alone)
