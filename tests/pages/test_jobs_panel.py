"""The list of jobs: what it says of each state, on whichever page, and the way back to what a job shows."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import HeadlightError
from engine.jobs.snapshot import Snapshot
from engine.progress import Watcher
from engine.settings import Method, Mode, Score, Settings
from pages.shared import background, job_names, jobs_panel, search_jobs
from pages.shared.view import AMONG, MODES, View, run_fields
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4)


class Gate:
    """Work that reports a quarter done, then waits to be let through or cancelled."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, watcher: Watcher) -> None:
        watcher.step("path patching", 1, 4)
        self.entered.set()
        while not self.opened.wait(0.005):
            watcher.check()


def listed(app: AppTest) -> list[str]:
    """The entries of the list, as HTML."""
    return [html for html in html_of(app) if 'class="hl-job ' in html]


def html_of(app: AppTest) -> list[str]:
    return [element.proto.body for element in app.get("html")]


def button_of(app: AppTest, act: str) -> Any:
    (button,) = [button for button in app.button if (button.key or "").startswith(f"job_{act}_")]
    return button


def quiet(app: AppTest) -> AppTest:
    """Once the page has nothing more at work by itself."""
    def over(app: AppTest) -> bool:
        jobs = background.background().jobs.all()
        band = any(isinstance(job.key, tuple) and job.key[0] == "band" for job in jobs)  # the last to be started
        return has_button("start_search")(app) and band and not any(job.live for job in jobs)

    return run_until(app, over).run()


@pytest.fixture
def idle(open_app: OpenApp) -> AppTest:
    return quiet(open_app())


def test_where_nothing_was_asked_for_there_is_no_list(idle: AppTest) -> None:
    assert not listed(idle) and 'class="hl-jobs"' not in "".join(
        html_of(idle)
    )  # loading and curves are no news once done


def test_a_job_that_ends_while_the_list_is_drawn_is_listed_once(idle: AppTest, monkeypatch) -> None:
    jobs, gate, asked = background.background().jobs, Gate(), []
    job = jobs.submit(("search", SETTINGS), gate)
    assert gate.entered.wait(PATIENCE)

    def ends_at_the_third() -> background.Background:
        asked.append(job.live)
        if len(asked) == 3:
            gate.opened.set()
            assert job.wait(PATIENCE)
        return background.background()

    monkeypatch.setattr(jobs_panel, "background", ends_at_the_third)
    app = idle.run()
    assert asked[:3] == [True] * 3 and not job.live
    assert not app.exception and len(listed(app)) == 1


def test_running_and_waiting_with_place_progress_and_cancel(idle: AppTest) -> None:
    jobs, first, second = background.background().jobs, Gate(), Gate()
    running = jobs.submit(("search", SETTINGS), first)
    assert first.entered.wait(PATIENCE)
    waiting = jobs.submit(("search", replace(SETTINGS, mode=Mode.EXACT, method=Method.DENSE, grid=True)), second)
    app = idle.run()
    one, other = listed(app)
    assert "Induction, random words · Toy induction model · inside the automatic union" in one
    assert "width:25.0%" in one and "path patching" in one
    assert "among all heads · exact · grid" in other and "waiting, place 2: 1 other job first" in other
    assert "1 running · 1 waiting" in texts(app)

    cancels = [button for button in app.button if (button.key or "").startswith("job_cancel_")]
    assert len(cancels) == 2
    cancels[1].click().run()
    assert not waiting.live and not second.entered.is_set() and running.live
    first.opened.set()
    assert running.wait(PATIENCE)
    app = run_until(app, lambda app: any("done in" in entry for entry in listed(app)))
    assert len(listed(app)) == 1  # what was cancelled before it began is no news


def test_what_has_ended_is_told_until_it_is_dismissed_and_its_result_stays(idle: AppTest) -> None:
    jobs = background.background().jobs
    assert jobs.submit(("search", SETTINGS), lambda watcher: None).wait(PATIENCE)
    app = idle.run()
    (entry,) = listed(app)
    assert "done in under 1 s" in entry
    button_of(app, "dismiss").click().run()
    assert not listed(app.run()) and jobs.find(("search", SETTINGS)) is not None


def test_a_failure_is_told_with_its_reason_whatever_failed(idle: AppTest) -> None:
    def fails(watcher: Watcher) -> None:
        raise HeadlightError("Expected <i>a</i>.")

    assert background.background().jobs.submit(("some_new_kind", SETTINGS), fails).wait(PATIENCE)
    (entry,) = listed(idle.run())
    assert "<b>Some new kind</b>" in entry and "failed: Expected &lt;i&gt;a&lt;/i&gt;." in entry
    assert not idle.error and not idle.exception


def test_the_list_is_the_same_on_every_page_and_in_a_new_session(idle: AppTest, open_app: OpenApp) -> None:
    gate = Gate()
    background.background().jobs.submit(("search", SETTINGS), gate)
    assert gate.entered.wait(PATIENCE)
    there = open_app("prompts", pairs="5", seed="3")
    assert any("path patching" in entry for entry in listed(there)) and not there.exception
    gate.opened.set()


def test_a_job_whose_model_vanished_fails_with_a_word_and_the_page_lives(
    open_app: OpenApp, tiny_model_folder, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    shutil.copytree(tiny_model_folder("gpt2"), folder)
    app = quiet(open_app())
    gate = Gate()
    background.background().jobs.submit("blocker", gate)
    assert gate.entered.wait(PATIENCE)
    search_jobs.start_search(replace(SETTINGS, model=str(folder)))  # waits for its turn
    shutil.rmtree(folder)
    gate.opened.set()
    app = run_until(app, lambda app: any("failed" in entry for entry in listed(app)))
    entry = next(entry for entry in listed(app) if "failed" in entry)
    assert "gone" in entry and str(folder) in entry and "Traceback" not in texts(app)
    assert not app.exception and not app.error and has_button("start_search")(app)

    gone = run_until(open_app(model=str(folder)), has_button("again_ready"))
    assert "There is no folder" in gone.error[0].value and not gone.exception


@pytest.mark.parametrize("among", AMONG)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("grid", [False, True])
def test_a_view_of_a_run_asks_for_that_run(among: str, mode: str, grid: bool) -> None:
    asked = View(
        model="gpt2", task="docstring", pairs=9, seed=4, score="merged", sparsity=0.6, among=among, mode=mode,
        grid=grid, threshold_scale=1.5, min_effect=0.05,
    ).settings()  # fmt: skip
    elsewhere = View(head="1.1", edge="9.6-logits", threshold_scale=3.0, grid=not grid, score="flap")
    shown = replace(elsewhere, **run_fields(asked))
    assert shown.settings() == asked and shown.head is None and shown.edge is None


def test_names_say_what_about_what() -> None:
    ringed = replace(SETTINGS, sparsity=0.8, score=Score.FLAP, mode=Mode.EXACT)
    name = job_names.of(("search", ringed))
    assert name.what == "Search" and name.room == "explorer"
    assert name.about[2:] == ("inside the FLAP mask at sparsity 0.80", "exact")
    loading = job_names.of(("ready", replace(SETTINGS, model="/a/folder/of-mine")))
    assert (loading.what, loading.about) == ("Loading", ("Induction, random words", "of-mine"))
    assert "threshold_scale" not in loading.view  # opening it changes nothing else
    assert job_names.of("anything").what == "Job" and job_names.of(("look_around", 3)).room is None


def test_time_left_of_those_that_take_turns_is_that_of_the_clock_on_the_wall() -> None:
    one, other = shot(seconds=10.0), shot(seconds=4.0)
    assert jobs_panel._left(one, [one]) == pytest.approx(30.0)  # a quarter done in 10 s
    assert jobs_panel._left(one, [one, other]) == pytest.approx(42.0)  # the other's 12 s fall within
    assert jobs_panel._left(other, [one, other]) == pytest.approx(24.0)


def shot(seconds: float) -> Snapshot:
    from engine.jobs.snapshot import JobState, StageProgress

    stage = StageProgress("path patching", 1, 4, seconds)
    return Snapshot(
        key=("search", seconds), state=JobState.RUNNING, place=0, stages=(stage,), started=0.0, ended=None,
        seconds=seconds, cancelling=False, circuit=None, steps=(), flops=0.0, predicted=(),
        result=None, error=None, log=None,
    )  # fmt: skip
