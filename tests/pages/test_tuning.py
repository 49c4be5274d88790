"""Automatic settings on the Explorer: asked for, under way, stopped, failed, shown, used."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import HeadlightError
from engine.models.cache import CACHE_VARIABLE
from engine.progress import Watcher
from engine.settings import Mode, Score, Settings
from engine.tuning.results import Tuning
from engine.tuning.tune import MOST_TRIALS
from pages.shared import job_names, search_jobs, work
from pages.shared.link_readers import MAX_TRIALS
from pages.shared.view import View, run_fields, search_fields
from tests.pages.conftest import OpenApp, has_button, run_until, texts
from tests.pages.test_explorer import ready, searched

TRIALS = "8"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))


def shown(app: AppTest) -> bool:
    return any(box.key == "tuning_trial" for box in app.selectbox)


def tuned(open_app: OpenApp, **params: str) -> AppTest:
    """The page after the trials."""
    app = run_until(open_app(**{"trials": TRIALS, **params}), ready)
    app.button("start_tune").click().run()
    return run_until(app, shown)


def result_of(app: AppTest) -> Tuning:
    view = View(model="toy-induction", task="induction-random", pairs=4)
    return work.result_of(search_jobs.tune_job(view.tuned(), int(app.query_params["trials"])))


def test_trials_are_offered_and_their_number_stands_in_the_url(open_app: OpenApp) -> None:
    app = run_until(open_app(), ready)
    assert app.button("start_tune").label == "Try settings" and not shown(app)
    assert app.number_input("view_trials").value == 40 and "trials" not in app.query_params
    app.number_input("view_trials").set_value(20).run()
    assert app.query_params["trials"] == "20" and not app.exception
    assert MAX_TRIALS == MOST_TRIALS


def test_the_front_is_shown_as_chart_list_and_choice(open_app: OpenApp) -> None:
    app = tuned(open_app)
    tuning = result_of(app)
    page = texts(app)
    assert not app.exception and not app.error
    assert f"Trial {tuning.chosen.number}: 2 heads" in page and tuning.reason in page
    assert "4 pairs of seed 2" in page and "by mean ablation" in page
    assert len(app.selectbox("tuning_trial").options) == len(tuning.front)
    assert any(option.startswith("Taken: 2 heads") for option in app.selectbox("tuning_trial").options)
    [rows] = [frame.value for frame in app.dataframe if "trial" in frame.value.columns]
    assert list(rows["trial"]) == list(range(8)) and sum(rows["taken"]) == 1


def test_a_point_is_used_and_its_search_finds_that_circuit(open_app: OpenApp) -> None:
    app = tuned(open_app)
    tuning = result_of(app)
    app.button("use_tuned").click().run()
    settings = tuning.chosen.settings
    assert app.query_params["among"] == "ringed" and app.query_params["score"] == settings.score.value
    assert float(app.query_params.get("sparsity", View.sparsity)) == settings.sparsity
    assert app.button("use_tuned").disabled and app.button("use_tuned").label == "In use"
    app = run_until(app, ready)
    app.button("start_search").click().run()
    app = run_until(app, searched)
    found = work.result_of(search_jobs.search_job(settings))
    assert found.circuit.heads == tuning.chosen.outcome.heads and found.tuning is tuning
    assert "tuning" in {row.stage for row in found.cost} and not app.exception
    assert "tuning" in texts(app)


def test_another_point_stands_in_the_url(open_app: OpenApp) -> None:
    app = tuned(open_app)
    tuning = result_of(app)
    other = next(trial for trial in tuning.trials if trial.outcome and trial.number != tuning.chosen.number)
    again = run_until(open_app(trials=TRIALS, trial=str(other.number)), shown)
    assert again.selectbox("tuning_trial").value == other.number and not again.button("use_tuned").disabled
    again.selectbox("tuning_trial").set_value(tuning.chosen.number).run()
    assert again.query_params["trial"] == str(tuning.chosen.number)
    lost = run_until(open_app(trials=TRIALS, trial="99"), shown)
    assert lost.selectbox("tuning_trial").value == tuning.chosen.number


def test_trials_that_are_kept_are_offered_again(open_app: OpenApp) -> None:
    tuned(open_app)
    more = run_until(open_app(trials="12"), ready)
    assert more.button("start_tune").label == "Go on from 8 kept trials"
    fewer = run_until(open_app(trials="5"), ready)
    assert fewer.button("start_tune").label == "Show 5 kept trials"


def test_stopped_the_trials_done_by_then_are_shown(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, tune = threading.Event(), work.tune

    class Waits(Watcher):
        """Passes progress on, and after three trials waits for the cancel."""

        def __init__(self, inner: Watcher) -> None:
            self.inner = inner

        def report(self, stage: str, done: float, total: float) -> None:
            self.inner.report(stage, done, total)
            if done >= 3:
                gate.wait(60)

        def cancelled(self) -> bool:
            return self.inner.cancelled()

        def spend(self, flops: float) -> None:
            self.inner.spend(flops)

    monkeypatch.setattr(work, "tune", lambda behind, settings, n, watcher: tune(behind, settings, n, Waits(watcher)))
    app = run_until(open_app(trials=TRIALS), ready)
    app.button("start_tune").click().run()
    app = run_until(app, lambda app: "3 of 8" in texts(app))
    assert "Trying settings" in texts(app) and not has_button("start_tune")(app)
    app.button("cancel_tune").click().run()
    gate.set()
    app = run_until(app, shown)
    assert "The trials done by then are kept" in texts(app) and not app.exception
    assert app.button("start_tune").label == "Go on from 3 kept trials"
    assert "3 trials" in texts(app)


def test_a_failure_is_told_and_can_be_tried_again(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*anything: object) -> None:
        raise HeadlightError("The cache folder cannot be written")

    monkeypatch.setattr(work, "tune", fails)
    app = run_until(open_app(trials=TRIALS), ready)
    app.button("start_tune").click().run()
    app = run_until(app, lambda app: bool(app.error))
    assert "cannot be written" in app.error[0].value and has_button("start_tune")(app) and not shown(app)


def test_a_union_with_two_sparsities_says_so_and_can_be_made_one(open_app: OpenApp) -> None:
    app = run_until(open_app(score="merged", sparsity="0.9", flap_sparsity="0.6", among="ringed"), ready)
    assert "kept at sparsity **0.60**" in texts(app)
    both = next(group for group in app.button_group if group.key == "view_among").options
    app.button("flap_together").click().run()
    assert "flap_sparsity" not in app.query_params and "kept at sparsity" not in texts(app)
    assert next(group for group in app.button_group if group.key == "view_among").options != both
    plain = run_until(open_app(score="flap", sparsity="0.9", flap_sparsity="0.6"), ready)
    assert "kept at sparsity" not in texts(plain)


def test_settings_make_a_view_and_back() -> None:
    settings = Settings(
        model="toy-induction", task="induction-random", pairs=4, seed=3, sparsity=0.8, flap_sparsity=0.7,
        score=Score.MERGED, mode=Mode.EXACT, threshold_scale=1.25, min_effect=0.0012,
    )  # fmt: skip
    assert View(**run_fields(settings)).settings() == settings
    assert "model" not in search_fields(settings) and "head" not in search_fields(settings)
    name = job_names.of(("tune", settings, 8))
    assert name.what == "Automatic settings" and name.room == "explorer"
