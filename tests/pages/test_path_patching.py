"""The Path patching page in each of its states."""

from __future__ import annotations

import threading
import time

import pytest
from streamlit.testing.v1 import AppTest

from engine.circuit import Circuit
from engine.errors import HeadlightError
from engine.progress import Watcher
from engine.search.path_patching import SearchStep
from pages.shared import work
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts

LAX = {"among": "all", "threshold_scale": "0.5", "min_effect": "0.001"}  # four steps on the toy model
stepping = has_button("step_play")
offered = has_button("start_search")


def searched(open_app: OpenApp, **params: str) -> AppTest:
    """The page after a search on the toy model."""
    app = run_until(open_app("path_patching", **{**LAX, **params}), offered)
    app.button("start_search").click().run()
    return run_until(app, lambda app: stepping(app) and not has_button("cancel_search")(app))


def headline(app: AppTest) -> str:
    return next(line for line in texts(app).splitlines() if "hl-verdict" in line and "Step " in line)


def test_before_a_search_the_page_offers_one(open_app: OpenApp) -> None:
    app = run_until(open_app("path_patching"), offered)
    assert "Nothing has been searched yet" in texts(app) and not stepping(app)
    assert not app.exception and not app.error


def test_a_search_is_stepped_through_with_every_control(open_app: OpenApp) -> None:
    app = searched(open_app)
    assert not app.exception and not app.error
    assert "Step 1 of 4: who reaches the logits?" in headline(app) and "1.2 (−1.001) stands out" in headline(app)
    assert app.button("step_back").disabled and app.button("step_first").disabled

    app.button("step_forward").click().run()
    assert "Step 2 of 4: who feeds the query of 1.2?" in headline(app) and app.query_params["step"] == "2"
    app.button("step_last").click().run()
    assert "Step 4 of 4: who feeds the value of 1.2?" in headline(app) and app.button("step_forward").disabled
    app.button("step_back").click().run()
    assert app.query_params["step"] == "3" and app.slider("step_slider").value == 3
    app.slider("step_slider").set_value(4).run()
    assert app.query_params["step"] == "4"
    app.selectbox("step_list").set_value(3).run()
    assert "key of 1.2" in headline(app)
    app.button("step_first").click().run()
    assert "step" not in app.query_params and "logits" in headline(app)
    assert [str(head) for head in app.selectbox("step_of_head").options] == ["1.2, from step 2"]
    app.selectbox("step_of_head").select_index(0).run()
    assert app.query_params["step"] == "2"
    assert not app.exception


def test_a_link_opens_its_step_and_one_too_many_the_last(open_app: OpenApp) -> None:
    searched(open_app)
    app = run_until(open_app("path_patching", **LAX, step="3"), stepping)
    assert "Step 3 of 4" in headline(app) and app.slider("step_slider").value == 3
    app = run_until(open_app("path_patching", **LAX, step="77"), stepping)
    assert "Step 4 of 4" in headline(app) and "There is no step 77" in texts(app)
    assert not app.exception


def test_play_and_pause(open_app: OpenApp) -> None:
    """That it moves by itself is shown in a browser: here nothing ticks."""
    app = searched(open_app)
    app.button("step_play").click().run()
    assert app.button("step_play").label == "Pause" and app.slider("step_slider").disabled
    app.button("step_play").click().run()
    assert app.button("step_play").label == "Play" and not app.slider("step_slider").disabled
    app.button("step_last").click().run()
    app.button("step_play").click().run()
    assert "Step 1 of 4" in headline(app)  # from the end it begins again
    app.button("step_forward").click().run()
    assert app.button("step_play").label == "Play" and "Step 2 of 4" in headline(app)


def test_each_step_tells_its_totals_and_has_a_table(open_app: OpenApp) -> None:
    app = searched(open_app, step="3")
    page = texts(app)
    for words in ("Circuit so far", "Edges so far", "Paths so far", "Time until here", "Work until here",
                  "steps 2 to 4 are measured together"):  # fmt: skip
        assert words in page
    assert len(app.dataframe[0].value) == 12  # the senders below layer 1
    app.button_group("step_table").set_value("all steps").run()
    steps = app.dataframe[0].value
    assert list(steps["receiver"]) == ["logits", "1.2.q", "1.2.k", "1.2.v"]
    assert list(steps["heads"]) == sorted(steps["heads"]) and steps["seconds until here"].notna().all()


def test_a_head_chosen_opens_its_card(open_app: OpenApp) -> None:
    app = searched(open_app, head="1.2", step="2")
    assert "On the logits directly" in texts(app) and app.selectbox("card_head").value == "1.2"


def test_screened_and_exact_are_told_apart(open_app: OpenApp) -> None:
    assert "estimates too weak to matter" in headline(searched(open_app, step="2"))
    assert "12 senders measured, each exactly" in headline(searched(open_app, step="2", mode="exact"))


def test_a_grid_names_the_pair_it_took(open_app: OpenApp) -> None:
    app = searched(open_app, grid="1")
    assert "A grid of 16 pairs of thresholds was searched" in texts(app) and "Step 1 of" in headline(app)
    assert not app.exception


def test_an_empty_circuit_has_one_step_that_says_why(open_app: OpenApp) -> None:
    app = searched(open_app, min_effect="1", pairs="8")
    assert "No head stands out." in texts(app) and "not above the smallest effect that counts, 1" in headline(app)
    assert app.button("step_play").disabled and not app.exception
    assert not any(slider.key == "step_slider" for slider in app.slider)


def test_a_search_that_failed_is_said_so(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise HeadlightError("No such luck.")

    monkeypatch.setattr(work, "search", broken)
    app = run_until(open_app("path_patching"), offered)
    app.button("start_search").click().run()
    app = run_until(app, lambda app: bool(app.error))
    assert "No such luck" in app.error[0].value and app.button("start_search").label == "Search again"


class Held(Watcher):
    """Passes everything on, but once a step is told waits for the cancel."""

    def __init__(self, inner: Watcher) -> None:
        self.inner, self.entered = inner, threading.Event()

    def report(self, stage: str, done: float, total: float) -> None:
        self.inner.report(stage, done, total)

    def found(self, circuit: Circuit) -> None:
        self.inner.found(circuit)

    def walked(self, steps: tuple[SearchStep, ...]) -> None:
        self.inner.walked(steps)
        self.entered.set()
        for _ in range(int(100 * PATIENCE)):
            if self.inner.cancelled():
                break
            time.sleep(0.01)

    def cancelled(self) -> bool:
        return self.inner.cancelled()


def test_a_running_search_is_followed_and_what_a_cancel_leaves_is_kept(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = work.search
    monkeypatch.setattr(work, "search", lambda behind, settings, inner: search(behind, settings, Held(inner)))
    app = run_until(open_app("path_patching", **LAX), offered)
    app.button("start_search").click().run()
    app = run_until(app, stepping)
    assert "Step 1 of 1 so far: who reaches the logits?" in headline(app) and has_button("cancel_search")(app)
    assert app.toggle("step_follow").value
    app.button("cancel_search").click().run()
    app = run_until(app, lambda app: "These are the 1 step taken by then" in texts(app))
    assert "Step 1 of 1: who reaches the logits?" in headline(app)
    assert not app.exception
