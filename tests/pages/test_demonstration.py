"""A public demonstration: nobody is told by name what others search, and nothing is offered that it cannot keep."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from engine.jobs.job import Job
from engine.jobs.snapshot import JobState
from engine.settings import Settings
from engine.store.store import RunStore
from pages.shared import background, search_jobs, work
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts
from tests.pages.test_jobs_panel import Gate, listed
from tests.pages.test_runs import APP, DENSE, left_behind
from tests.pages.test_runs import listed as listed_runs

THEIRS = replace(APP, seed=7)
DENSE_NAME, THEIRS_NAME = "4 pairs · all heads", "4 pairs · inside the automatic union · seed 7"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")


def searched_by(owner: str, settings: Settings) -> Job:
    """A search that another visitor asked for."""
    behind = background.background()
    job = behind.jobs.submit(("search", settings), lambda watcher: work.search(behind, settings, watcher), owner)
    assert job.wait(PATIENCE) and job.snapshot().state is JobState.DONE, job.snapshot().log
    return job


def kept_by_the_keeper(monkeypatch: pytest.MonkeyPatch, *searches: Settings) -> list[str]:
    """Runs laid into the store before the demonstration began; their ids."""
    with monkeypatch.context() as before:
        before.setenv("HEADLIGHT_DEMO", "0")
        background.background.clear()
        for settings in searches:
            job = search_jobs.start_search(settings)
            assert job.wait(PATIENCE) and job.snapshot().state is JobState.DONE, job.snapshot().log
        background.background().jobs.close(PATIENCE)
        background.background().glances.close(PATIENCE)
        background.background.clear()
    return [run.id for run in RunStore().all()][::-1]


def titles(app: AppTest) -> str:
    """What Compare offers for its left side, or says there is."""
    return texts(app) + "".join(option for box in app.selectbox if box.label == "Left run" for option in box.options)


def test_searches_of_others_are_in_no_list_of_a_demonstration(open_app: OpenApp, demo: None) -> None:
    searched_by("another", THEIRS)
    app = open_app("compare")
    assert "No runs yet" in texts(app) and THEIRS_NAME not in titles(app) and "seed 7" not in texts(app)
    assert not listed(app), "though nobody who is here has asked for it"
    assert "seed 7" not in texts(open_app("compare", comparing="algorithms", seed="7", among="all"))


def test_in_a_class_they_are(open_app: OpenApp) -> None:
    searched_by("another", THEIRS)
    app = open_app("compare")
    assert "One run so far" in texts(app) and THEIRS_NAME in titles(app)
    assert [entry for entry in listed(app) if "Search" in entry]


def test_what_others_are_searching_is_counted_and_not_named(open_app: OpenApp, demo: None) -> None:
    gate = Gate()
    job = background.background().jobs.submit(("search", THEIRS), gate, "another")
    assert gate.entered.wait(PATIENCE)
    app = open_app("compare")
    assert "Searching" not in texts(app) and "seed 7" not in texts(app) and not listed(app)
    assert "1 of them of other visitors." in texts(app)
    gate.opened.set()
    assert job.wait(PATIENCE)


def test_ones_own_and_those_one_has_looked_at_are(open_app: OpenApp, demo: None) -> None:
    searched_by("another", THEIRS)
    app = run_until(open_app(), has_button("start_search"))
    app.button("start_search").click().run()
    run_until(app, lambda app: "2 edges, found in" in texts(app))
    assert [entry for entry in listed(app) if "Search" in entry]
    by_link = run_until(open_app("circuit", seed="7"), lambda app: "<h2>The graph</h2>" in texts(app))
    by_link.switch_page("compare/page.py").run()
    assert THEIRS_NAME in titles(by_link)


def test_what_the_keeper_laid_out_is_for_everyone(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_by_the_keeper(monkeypatch, APP, DENSE)
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    app = open_app("compare")
    assert DENSE_NAME in titles(app)
    shown = run_until(open_app("circuit"), lambda app: "<h2>The graph</h2>" in texts(app))
    assert not has_button("start_search")(shown), "found before, and brought back"
    both = open_app("compare")
    assert DENSE_NAME in titles(both) and "Left only" in texts(both), "brought back for whoever comes, nobody’s own"
    assert len(listed_runs(open_app("runs"))) == len(kept) == 2


def test_a_kept_run_of_a_demonstration_is_read_and_changed_in_nothing(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    [kept] = kept_by_the_keeper(monkeypatch, DENSE)
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    app = run_until(open_app("runs", run=kept), lambda app: "What was found" in texts(app))
    assert not has_button("delete_runs")(app) and not app.text_input and not app.multiselect and not app.error
    page = open_app("runs")
    assert "1 of 1 run shown." in texts(page) and str(RunStore().root) not in texts(page)
    assert "is not kept" in texts(page) and "Every search is kept" not in texts(page)
    [shelf] = page.get("button_group")
    assert [option.content for option in shelf.proto.options] == ["Kept", "Sweeps"]


def test_deleted_and_interrupted_runs_are_the_keepers_business(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    [kept] = kept_by_the_keeper(monkeypatch, DENSE)
    RunStore().delete(kept)
    left_behind(APP, "interrupted")
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    background.background.clear()
    assert "This run is not here" in texts(open_app("runs", run=kept))
    assert DENSE_NAME not in texts(open_app("runs", shelf="deleted"))
    app = run_until(open_app(), has_button("start_search"))
    assert "Interrupted." not in texts(app) and not has_button("start_anew")(app)


def test_what_is_found_is_not_kept_and_that_is_no_warning(open_app: OpenApp, demo: None) -> None:
    app = run_until(open_app(), has_button("start_search"))
    app.button("start_search").click().run()
    run_until(app, lambda app: "2 edges, found in" in texts(app))
    assert "This demonstration keeps no runs" in texts(app) and not app.warning
    assert not RunStore().all()


def test_an_own_task_by_link_is_refused_without_a_promise(open_app: OpenApp, demo: None) -> None:
    app = open_app(task="own-000000000000")
    assert "This demonstration has no own task own-000000000000" in app.warning[0].value.replace("\\", "")
