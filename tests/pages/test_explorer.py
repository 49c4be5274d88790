"""The Explorer page in each of its states."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.circuit import Circuit
from engine.errors import HeadlightError
from engine.jobs.snapshot import JobState
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.settings import Settings
from pages.shared import background, work
from tests.pages.conftest import APP, PATIENCE, OpenApp, has_button, run_until, texts

ready = has_button("start_search")


def searched(app: AppTest) -> bool:
    return any(box.key == "circuit_head" for box in app.selectbox)


def found(open_app: OpenApp, **params: str) -> AppTest:
    """The page after a search on the toy model."""
    app = run_until(open_app(**params), ready)
    app.button("start_search").click().run()
    return run_until(app, searched)


def test_a_first_visit_says_what_is_going_on(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def slow(behind: object, settings: object, watcher: Watcher) -> None:
        watcher.report("loading the model", 1, 4)
        while not gate.wait(0.01):
            watcher.step("loading the model", 1, 4)

    monkeypatch.setattr(work, "prepare_anew", slow)
    app = run_until(open_app(), lambda app: "Loading the model" in texts(app))
    assert "Does the model do the task?" in texts(app) and "1 of 4" in texts(app)
    assert not app.exception and not app.error
    assert "Which heads stand out?" not in texts(app)

    app.button("cancel_ready").click().run()
    app = run_until(app, has_button("again_ready"))
    assert "Cancelled." in texts(app)
    gate.set()


def test_without_parameters_the_default_model_and_task_load(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def note(behind: object, settings: object, watcher: Watcher) -> None:
        asked.append(settings)
        raise HeadlightError("stop here")

    monkeypatch.setattr(work, "prepare_anew", note)
    app = AppTest.from_file(str(APP), default_timeout=PATIENCE).run()
    run_until(app, has_button("again_ready"))
    assert [(settings.model, settings.task) for settings in asked] == [("smollm2-135m", "ioi")]
    assert app.query_params["model"] == "smollm2-135m"


def test_ready_shows_the_check_and_the_scores(open_app: OpenApp) -> None:
    app = run_until(open_app(), ready)
    page = texts(app)
    assert not app.exception and not app.error and not app.warning
    for words in ("Logit difference, clean", "Accuracy", "Yes.", "Which heads stand out?", "No circuit yet"):
        assert words in page
    assert page.count('class="hl-pair"') == 2 and 'class="answer"' in page


def test_the_curves_bring_their_cliffs_as_presets(open_app: OpenApp) -> None:
    app = run_until(open_app(), lambda app: any((b.key or "").startswith("preset_First") for b in app.button))
    preset = next(button for button in app.button if (button.key or "").startswith("preset_First"))
    app = preset.click().run()
    assert float(preset.label.rpartition(" ")[2]) == app.number_input("view_sparsity").value
    assert float(app.query_params["sparsity"]) == app.number_input("view_sparsity").value


def test_a_search_finds_the_circuit_and_a_new_session_finds_the_search(open_app: OpenApp) -> None:
    app = found(open_app)
    assert not app.exception and not app.error
    assert list(app.selectbox("circuit_head").options) == ["0.1", "1.2"]
    page = texts(app)
    assert (
        "2 heads and 2 edges" in page and "Performance" in page and "Faithfulness" in page and "mean ablation" in page
    )

    again = run_until(open_app(), searched)
    assert list(again.selectbox("circuit_head").options) == ["0.1", "1.2"]


def test_a_head_chosen_in_the_circuit_opens_its_card_and_stands_in_the_url(open_app: OpenApp) -> None:
    app = found(open_app)
    assert "No head selected" in texts(app)
    app.selectbox("circuit_head").set_value("1.2").run()
    page = texts(run_until(app, lambda app: "Raises most" in texts(app)))
    assert app.query_params["head"] == "1.2" and app.selectbox("card_head").value == "1.2"
    for words in ("C-FLAP rank", "In the automatic union", "On the logits directly", "Raises most"):
        assert words in page
    app.selectbox("card_head").set_value("0.1").run()
    assert app.query_params["head"] == "0.1"
    assert not app.exception


def test_a_cancelled_search_keeps_what_it_found_and_says_so(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = run_until(open_app(), ready)
    entered, search = threading.Event(), work.search
    monkeypatch.setattr(
        work, "search", lambda behind, settings, inner: search(behind, settings, Held(inner, entered))
    )
    app.button("start_search").click().run()
    run_until(app, lambda app: entered.is_set() and has_button("cancel_search")(app))
    run_until(app, lambda app: "1 head and 1 edge so far" in texts(app))
    app.button("cancel_search").click().run()
    app = run_until(app, lambda app: "What had been found by then is kept" in texts(app))
    assert list(app.selectbox("circuit_head").options) == ["1.2"]
    assert "Not verified" in texts(app) and app.button("start_search").label == "Search again"
    assert not app.exception


class Held(Watcher):
    """Passes everything on, but once something is found waits for the cancel."""

    def __init__(self, inner: Watcher, entered: threading.Event) -> None:
        self.inner, self.entered = inner, entered

    def report(self, stage: str, done: float, total: float) -> None:
        self.inner.report(stage, done, total)

    def found(self, circuit: Circuit) -> None:
        self.inner.found(circuit)
        self.entered.set()
        for _ in range(int(100 * PATIENCE)):
            if self.inner.cancelled():
                break
            time.sleep(0.01)

    def cancelled(self) -> bool:
        return self.inner.cancelled()


def test_what_people_can_mend_is_said_and_can_be_tried_again(open_app: OpenApp) -> None:
    app = run_until(open_app(model="/no/such/folder"), has_button("again_ready"))
    (error,) = app.error
    assert "/no/such/folder" in error.value and "Traceback" not in texts(app)
    assert not app.exception


def test_what_is_our_fault_shows_no_traceback(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("inner detail")

    monkeypatch.setattr(work, "prepare_anew", broken)
    app = run_until(open_app(), has_button("again_ready"))
    (error,) = app.error
    assert "ZeroDivisionError" in error.value and "inner detail" not in texts(app)
    assert not app.exception


def test_a_malformed_link_is_reported_and_the_rest_of_it_used(open_app: OpenApp) -> None:
    app = open_app(pairs="many", score="flap", head="<b>")
    warnings = [warning.value for warning in app.warning]
    assert len(warnings) == 2 and "pairs" in warnings[0] and "head" in warnings[1]
    assert app.number_input("view_pairs").value == 16 and app.query_params["pairs"] == "16"
    assert app.query_params["score"] == "flap" and "head" not in app.query_params


def test_a_head_the_model_lacks_is_said_so(open_app: OpenApp) -> None:
    app = run_until(open_app(head="99.0"), ready)
    assert "There is no head 99.0 in this model" in texts(app) and not app.exception


def test_an_incapable_model_is_said_so_before_anything_runs(open_app: OpenApp) -> None:
    app = run_until(open_app(task="ioi"), lambda app: ready(app) or bool(app.error))
    assert app.error or "The model cannot do this task" in texts(app)


def test_another_task_model_and_seed_are_chosen_in_the_sidebar(open_app: OpenApp) -> None:
    """On the toy model only one task works: the others say so, and the way back is open."""
    app = run_until(open_app(head="1.2", sparsity="0.5"), ready)
    app.selectbox("view_task").set_value("ioi").run()
    app = run_until(app, has_button("again_ready"))
    assert not app.exception and app.query_params["task"] == "ioi" and "head" not in app.query_params
    assert app.error

    app.selectbox("view_task").set_value("induction-random").run()
    app.number_input("view_seed").set_value(3).run()
    app = run_until(app, ready)
    assert not app.exception and not app.error
    assert app.query_params["seed"] == "3" and app.query_params["sparsity"] == "0.5"

    app.selectbox("view_model").set_value("Qwen/Qwen2.5-7B").run()  # neither here nor, offline, to be had
    app = run_until(app, has_button("again_ready"))
    assert not app.exception and "could not be reached" in "".join(error.value for error in app.error)
    app.selectbox("view_model").set_value("toy-induction").run()
    app = run_until(app, ready)
    assert not app.exception and not app.error


def test_a_model_that_has_only_hooks_says_so_and_shows_what_it_can(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.models.model.known_parts", lambda config: False)
    app = found(open_app, head="1.2", among="ringed")
    app = run_until(app, lambda app: "Rows look" in texts(app) and "This is not available" in texts(app))
    assert not app.exception and not app.error
    page = texts(app)
    assert "its parts are not known to the fast path" in page and "Every path ran through hooked forwards." in page
    assert "Where it looks" in page and "cannot be shown" not in page
    assert "What it writes" in page and "This is not available for toy-induction" in page


def test_what_was_left_behind_starts_again_for_whoever_comes_back(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, prepare = threading.Event(), work.prepare_anew

    def slow(behind: Any, settings: Settings, watcher: Watcher) -> Prepared:
        while not gate.wait(0.01):
            watcher.check()
        return prepare(behind, settings, watcher)

    monkeypatch.setattr(work, "prepare_anew", slow)
    app = open_app()
    left = background.ready_job(Settings(model="toy-induction", task="induction-random", pairs=4))
    app.number_input("view_pairs").set_value(5).run()
    assert left is not None and left.wait(PATIENCE) and left.snapshot().state is JobState.CANCELLED
    app.number_input("view_pairs").set_value(4).run()
    gate.set()
    app = run_until(app, lambda app: ready(app) or has_button("again_ready")(app))
    assert ready(app) and "Cancelled." not in texts(app)
