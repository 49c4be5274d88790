"""The Runs page in each of its states: the table of runs, what can be done with them, what was deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.jobs.snapshot import JobState
from engine.settings import Settings
from engine.store.home import HOME_VARIABLE, home
from engine.store.store import RunStore
from engine.store.stored_run import RunState
from pages.runs.rows import size_words
from pages.shared import search_jobs
from pages.shared.background import background
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts

APP = Settings(model="toy-induction", task="induction-random", pairs=4)
DENSE = APP.densely()
INSIDE, ALL = "inside the automatic union", "all heads"


def ran(*settings: Settings) -> list[str]:
    """Searches this server has run; their ids in the store."""
    for each in settings:
        job = search_jobs.start_search(each)
        assert job.wait(PATIENCE) and job.snapshot().state is JobState.DONE, job.snapshot().log
    background().kept.changed()
    return [run_id for each in settings if (run_id := background().kept.id_of(each)) is not None]


def left_behind(settings: Settings, how: str) -> str:
    """A run that another process did not bring to its end; its id."""
    with RunStore().begin(settings) as run:
        if how == "failed":
            run.fail("The disk was full.")
        elif how == "cancelled":
            run.cancel()
    background().kept.changed()
    return run.id


def listed(app: AppTest) -> list[str]:
    """The names in the table of runs."""
    [table] = [frame.value for frame in app.dataframe if "took" in frame.value]
    return list(table["name"])


def test_without_runs_the_page_teaches(open_app: OpenApp) -> None:
    app = open_app("runs")
    page = texts(app)
    assert "No run is kept yet" in page and "Open a run from a file" in page
    assert not app.exception and not app.error
    assert "Nothing is deleted" in texts(open_app("runs", shelf="deleted"))


def test_searches_are_kept_and_listed(open_app: OpenApp) -> None:
    ran(APP, DENSE)
    app = open_app("runs")
    assert not app.exception and not app.error
    assert listed(app) == [ALL, INSIDE]
    [table] = [frame.value for frame in app.dataframe if "took" in frame.value]
    assert list(table["state"]) == ["✓ done", "✓ done"] and list(table["heads"]) == [2, 2]
    assert list(table["pairs"]) == [4, 4] and min(table["faithfulness"]) > 0.9
    assert "2 of 2 runs shown" in texts(app) and str(home()) in texts(app)


def test_filters_order_and_search_stand_in_the_address(open_app: OpenApp) -> None:
    first = ran(APP, DENSE)[0]
    RunStore().tag(first, ["for class"])
    background().kept.changed()
    app = open_app("runs")
    app.text_input("view_run_find").set_value("heads Induction").run()
    assert app.query_params["run_find"] == "heads Induction" and listed(app) == [ALL]
    app.text_input("view_run_find").set_value("nothing like it").run()
    assert "No run like that" in texts(app)
    app.button("all_runs").click().run()
    assert len(listed(app)) == 2
    app.selectbox("view_run_tag").set_value("for class").run()
    assert listed(app) == [INSIDE] and app.query_params["run_tag"] == "for class"
    assert listed(open_app("runs", run_order="oldest", run_state="done")) == [INSIDE, ALL]
    assert len(listed(open_app("runs", run_model=APP.model, run_task=APP.task))) == 2
    for name, value in {"run_state": "failed", "run_model": "somebody-else", "run_task": "ioi"}.items():
        app = open_app("runs", **{name: value})
        assert "No run like that" in texts(app) and not app.exception, name


def test_a_run_is_renamed_and_tagged(open_app: OpenApp) -> None:
    [run] = ran(APP)
    app = open_app("runs", picked=run)
    app.text_input(f"name_{run}").set_value("  The *first*\tone ").run()
    assert listed(app) == ["The *first* one"] and RunStore().get(run).name == "The *first* one"
    assert r"The \*first\* one" in texts(app), "a name is shown, never read as Markdown"
    app.multiselect(f"tags_{run}").set_value(["for class"]).run()
    assert RunStore().get(run).tags == ("for class",)
    fresh = open_app("runs", picked=run)
    assert fresh.text_input(f"name_{run}").value == "The *first* one"
    assert fresh.multiselect(f"tags_{run}").value == ["for class"]
    app.text_input(f"name_{run}").set_value("").run()
    assert listed(app) == [INSIDE] and not app.exception


def test_deleting_can_be_taken_back_at_once_or_later(open_app: OpenApp) -> None:
    first, second = ran(APP, DENSE)
    app = open_app("runs", picked=first)
    app.button("delete_runs").click().run()
    assert listed(app) == [ALL] and "1 run deleted." in texts(app) and "picked" not in app.query_params
    assert app.toast[0].value.startswith("1 run deleted")
    app.button("undo").click().run()
    assert listed(app) == [ALL, INSIDE] and not has_button("undo")(app)

    app = open_app("runs", picked=f"{first},{second}")
    app.button("delete_runs").click().run()
    assert "No run is kept yet" in texts(app)
    app = open_app("runs", shelf="deleted")
    assert "2 runs" in texts(app)
    app.button(f"restore_{second}").click().run()
    assert RunStore().get(second).deleted is None and RunStore().get(first).deleted is not None
    assert app.button("purge_runs").disabled
    app.checkbox("headlight_runs_purge_sure").check().run()
    app.button("purge_runs").click().run()
    assert [run.id for run in RunStore().all(deleted=True)] == [second] and "Nothing is deleted" in texts(app)
    assert not app.exception


def test_two_selected_can_be_compared_and_more_only_deleted(open_app: OpenApp) -> None:
    first, second = ran(APP, DENSE)
    left_behind(Settings(model="toy-induction", task="induction-random", pairs=5), "failed")
    [failed] = [run.id for run in RunStore().all() if run.state is RunState.FAILED]
    app = open_app("runs", picked=f"{first},{second}")
    assert "**2 runs selected**" in texts(app)
    [link] = [link for link in app.get("page_link") if link.proto.label == "Compare the two"]
    assert f"left={first}" in link.proto.query_string and f"right={second}" in link.proto.query_string
    app = open_app("runs", picked=f"{first},{failed}")
    assert "Only runs that have found something can be compared" in texts(app)
    app = open_app("runs", picked=f"{first},{second},{failed}")
    assert "Select two to compare them" in texts(app) and app.button("delete_runs").label == "Delete 3"


@pytest.mark.parametrize(
    ("how", "state", "words"),
    [
        ("failed", "✗ failed", "The disk was full."),
        ("cancelled", "◐ cancelled", "Cancelled."),
        ("gone", "… interrupted", "stopped when its program ended"),
    ],
)
def test_what_did_not_end_well_says_so_and_goes_on(open_app: OpenApp, how: str, state: str, words: str) -> None:
    run = left_behind(APP, how)
    app = open_app("runs", picked=run)
    [table] = [frame.value for frame in app.dataframe if "took" in frame.value]
    assert list(table["state"]) == [state] and words in texts(app)
    app.button(f"go_on_{run}").click().run()
    job = search_jobs.search_job(APP)
    assert job is not None and job.wait(PATIENCE) and job.snapshot().state is JobState.DONE
    background().kept.changed()
    app = open_app("runs")
    states = [run.state for run in RunStore().all()]
    assert states == ([RunState.DONE] if how == "gone" else [RunState.DONE, RunState(how)]) and not app.exception


def test_a_run_under_way_is_listed_and_cannot_be_deleted(open_app: OpenApp) -> None:
    with RunStore().begin(APP) as run:
        app = open_app("runs", picked=run.id)
        [table] = [frame.value for frame in app.dataframe if "took" in frame.value]
        assert list(table["state"]) == ["▸ running"] and "at work" in texts(app)
        app.button("delete_runs").click().run()
        assert "is under way" in app.error[0].value and not app.exception
    assert len(RunStore().all()) == 1


def test_a_store_that_cannot_be_used_is_told(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv(HOME_VARIABLE, str(blocked))
    job = search_jobs.start_search(APP)
    assert job.wait(PATIENCE) and job.snapshot().state is JobState.DONE, "the result is never lost"
    app = open_app("runs")
    assert not app.exception and "cannot be listed" in app.error[0].value
    assert str(blocked) in app.error[0].value.replace("\\", "") and "No run is kept yet" not in texts(app)
    app = run_until(open_app("circuit"), lambda app: "<h2>The graph</h2>" in texts(app))
    assert "in memory alone" in app.warning[0].value and HOME_VARIABLE in app.warning[0].value.replace("\\", "")


def test_sizes_are_told_in_fitting_units() -> None:
    assert [size_words(size) for size in (900, 24_499, 3_400_000, 12_300_000_000)] == [
        "1 kB", "24 kB", "3.4 MB", "12.3 GB",
    ]  # fmt: skip
