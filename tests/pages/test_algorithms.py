"""Another algorithm than path patching: chosen, kept in the URL, searched with, and told right on every page."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.discovery import Discovery
from engine.models.loading import load_model
from engine.models.model import Model
from engine.settings import Algorithm, Settings
from pages.explorer.search_choices import ACDC_MODE_WORDS, MODE_WORDS, SCORED_WORDS
from pages.race.contestants import contestants
from pages.shared import job_names, runs, search_jobs, work
from pages.shared.algorithm_words import CHOICE_WORDS, UNSERVED_WORDS
from pages.shared.search_run import describe
from pages.shared.view import DEFAULT, View, run_fields
from tests.pages.conftest import OpenApp, has_button, run_until, texts
from tests.pages.test_explorer import found, ready

TOY = View(model="toy-induction", task="induction-random", pairs=4, among="all")
EDGES, TOLERANCE = "view_top_edges", "view_tolerance"


def algorithm_of(app: AppTest) -> Any:
    return next(group for group in app.button_group if group.key == "view_algorithm")


def inputs(app: AppTest) -> set[str]:
    return {box.key for box in app.number_input}


def run_of(view: View) -> Discovery:
    return work.result_of(search_jobs.search_job(view.settings()))


def test_each_algorithm_brings_its_one_parameter_and_both_stand_in_the_url(open_app: OpenApp) -> None:
    app = run_until(open_app(), ready)
    assert algorithm_of(app).value == "path_patching" and "algorithm" not in app.query_params
    assert CHOICE_WORDS["path_patching"] in texts(app) and not {EDGES, TOLERANCE} & inputs(app)
    algorithm_of(app).set_value("eap").run()
    assert app.query_params["algorithm"] == "eap" and CHOICE_WORDS["eap"] in texts(app)
    assert SCORED_WORDS in texts(app) and MODE_WORDS["screened"] not in texts(app)
    assert "view_threshold_scale" not in inputs(app) and TOLERANCE not in inputs(app)
    app.number_input(EDGES).set_value(7).run()
    assert app.query_params["top_edges"] == "7"
    algorithm_of(app).set_value("acdc").run()
    assert EDGES not in inputs(app) and ACDC_MODE_WORDS["screened"] in texts(app)
    app.number_input(TOLERANCE).set_value(0.05).run()
    assert app.query_params["tolerance"] == "0.05" and app.query_params["top_edges"] == "7"
    assert "Search, estimated" in texts(app) and not app.exception and not app.error
    again = run_until(open_app(algorithm="eap_ig", top_edges="7"), ready)
    assert algorithm_of(again).value == "eap_ig" and again.number_input(EDGES).value == 7


@pytest.mark.parametrize("algorithm", ["eap", "eap_ig"])
def test_what_scores_found_is_shown_as_estimates(open_app: OpenApp, algorithm: str) -> None:
    app = found(open_app, among="all", algorithm=algorithm, top_edges="6")
    run = run_of(replace(TOY, algorithm=algorithm, top_edges=6))
    assert len(run.circuit.edges) == 6 and not app.exception and not app.error
    words = texts(app)
    assert "scored to first order, none patched" in words or "Every edge is scored to first order" in words
    assert "every effect an estimate, none patched" in words and "edges at most" in words
    assert "Every edge’s effect is an estimate, to first order" in words and "effect is exact" not in words
    app.selectbox("circuit_head").select("1.2").run()
    assert "(estimate; mean of" in texts(app) and "this search has nothing else" in texts(app)
    assert "too weak for an edge" not in texts(app) and not app.exception


def test_the_steps_of_a_search_by_scores_are_told_as_such(open_app: OpenApp) -> None:
    app = run_until(open_app("path_patching", among="all", algorithm="eap", top_edges="3"), ready)
    app.button("start_search").click().run()
    app = run_until(app, lambda app: has_button("step_play")(app) and not has_button("cancel_search")(app))
    words = texts(app)
    assert "24 senders scored to first order." in words and "among the strongest of the whole search" in words
    assert "weakest score taken here" in words and "exceeds its layer’s threshold" not in words
    assert not app.exception and not app.error
    options = list(app.selectbox("step_list").options)
    assert any("taken" in option for option in options) and not any("stand" in option for option in options)
    app.button("step_last").click().run()
    assert "scored to first order" in texts(app) and not app.exception


def test_acdc_is_told_in_its_own_words(open_app: OpenApp) -> None:
    pytest.importorskip("engine.search.acdc")
    app = found(open_app, among="all", algorithm="acdc", tolerance="0.05")
    assert "ACDC’s tolerance" in texts(app) and "what taking it out changed" in texts(app) and not app.exception
    again = open_app("path_patching", among="all", algorithm="acdc", tolerance="0.05")
    steps = run_until(again, has_button("step_play"))
    assert "changes the metric by more than 0.05" in texts(steps) and "coloured bars exceed it" in texts(steps)
    assert not steps.exception and not steps.error


def test_a_model_of_hooks_alone_offers_no_scores(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = load_model("toy-induction")
    hooked = Model("toy-induction", toy.hf_model, toy.tokenizer, hooked=True)
    monkeypatch.setattr("engine.models.loading.load_model", lambda *args, **more: hooked)
    app = run_until(open_app(algorithm="eap"), lambda app: UNSERVED_WORDS in texts(app))
    assert not has_button("start_search")(app) and not app.exception
    algorithm_of(app).set_value("path_patching").run()
    assert has_button("start_search")(app) and UNSERVED_WORDS not in texts(app)


@pytest.mark.parametrize("asked", [
    replace(TOY, algorithm="eap", top_edges=7), replace(TOY, algorithm="eap_ig"),
    replace(TOY, algorithm="acdc", tolerance=0.5, mode="exact"), replace(TOY, among="auto", algorithm="eap"),
])  # fmt: skip
def test_a_job_leads_back_to_its_search(asked: View) -> None:
    elsewhere = replace(
        DEFAULT, algorithm="acdc", tolerance=2.0, top_edges=9, mode="exact", grid=True, threshold_scale=1.0
    )
    assert replace(elsewhere, **run_fields(asked.settings())).settings() == asked.settings()


def test_what_an_algorithm_does_not_use_makes_no_difference() -> None:
    odd = {"top_edges": 3, "tolerance": 0.5, "mode": "exact", "grid": True, "threshold_scale": 1.0, "min_effect": 0.2}
    used = {
        "path_patching": {"mode", "grid"}, "acdc": {"mode", "tolerance"}, "eap": {"top_edges"}, "eap_ig": {"top_edges"},
    }  # fmt: skip
    for algorithm, (name, value) in product(used, odd.items()):
        plain = View(algorithm=algorithm, grid=algorithm == "path_patching" and name != "grid")
        changed = replace(plain, **{name: value})
        same = changed.settings() == plain.settings()
        assert same is (name not in used[algorithm]), (algorithm, name)


def test_runs_are_named_by_what_found_them() -> None:
    settings = replace(TOY, algorithm="eap_ig", top_edges=40).settings()
    assert describe(settings) == "among all heads, EAP-IG, 40 edges at most"
    acdc = replace(TOY, algorithm="acdc", mode="exact", tolerance=0.02).settings()
    assert describe(acdc) == "among all heads, ACDC, exact, tolerance 0.02"
    assert job_names.of(("search", settings)).about[-2:] == ("among all heads", "EAP-IG")
    assert runs._algorithm({"algorithm": "eap", "top_edges": 7}) == ["EAP", "7 edges"]
    assert runs._algorithm({"algorithm": "acdc", "tolerance": 0.02}) == ["ACDC", "tolerance 0.02"]
    assert runs._algorithm({}) == runs._algorithm({"algorithm": "path_patching"}) == []
    assert runs._algorithm({"algorithm": "of a later version", "top_edges": 1})[0] == "of a later version"


def test_the_race_is_run_by_path_patching() -> None:
    app, dense = contestants(replace(TOY, algorithm="eap", threshold_scale=1.5))
    assert {app.settings.algorithm, dense.settings.algorithm} == {Algorithm.PATH_PATCHING}
    assert app.settings.threshold_scale == 1.5 and dense.settings == app.settings.densely()
    assert isinstance(app.settings, Settings)
