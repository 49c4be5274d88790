"""The Compare page in each of its states."""

from __future__ import annotations

import json
import threading

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import HeadlightError
from engine.jobs.snapshot import JobState
from engine.record import writing as record
from engine.settings import Method, Settings
from pages.shared import background, runs, search_jobs, work
from pages.shared.work import result_of
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts
from tests.pages.test_path_patching import Held

APP = Settings(model="toy-induction", task="induction-random", pairs=4)
DENSE = APP.densely()


def ran(*settings: Settings) -> None:
    """Searches this server has run."""
    for each in settings:
        job = search_jobs.start_search(each)
        assert job.wait(PATIENCE) and job.snapshot().state is JobState.DONE, job.snapshot().log


def compared(app: AppTest) -> bool:
    return "<h2>Numbers</h2>" in texts(app)


def test_without_runs_the_page_says_how_to_get_two(open_app: OpenApp) -> None:
    app = open_app("compare")
    page = texts(app)
    assert "No runs yet" in page and has_button("start_search")(app) and has_button("start_dense")(app)
    assert not app.exception and not app.error

    app.button("start_search").click().run()
    app = run_until(app, lambda app: "One run so far" in texts(app))
    assert "There is Toy induction model · Induction, random words · 4 pairs · inside the automatic union" in texts(app)
    assert not has_button("start_search")(app)
    app.button("start_dense").click().run()
    app = run_until(app, compared)
    assert [app.selectbox(f"view_{side}").value for side in ("left", "right")] == [runs.id_of(APP), runs.id_of(DENSE)]
    assert not app.exception


def test_two_runs_side_by_side(open_app: OpenApp) -> None:
    ran(APP, DENSE)
    app = run_until(open_app("compare"), has_button("swap_runs"))
    page = texts(app)
    assert not app.exception and not app.error and not app.warning
    for words in ("Heads in the circuit", "GFLOP", "differs, marked", "Precision · recall",
                  "100 · 100", "The same scores on both sides"):  # fmt: skip
        assert words in page
    assert app.button_group("heads_common").label == "In both: 2"
    assert "<tr class=differs><th scope=row>method</th><td>app</td><td>dense</td>" in page
    assert "Left only: none" in page and "Right only: none" in page


def test_swapping_and_choosing_stand_in_the_address(open_app: OpenApp) -> None:
    ran(APP, DENSE)
    app = run_until(open_app("compare"), has_button("swap_runs"))
    app.button("swap_runs").click().run()
    assert (app.query_params["left"], app.query_params["right"]) == (runs.id_of(DENSE), runs.id_of(APP))
    assert "<td>dense</td><td>app</td>" in texts(app)
    app.selectbox("view_left").set_value(runs.id_of(APP)).run()
    assert "Both sides show the same run" in texts(app) and not app.exception

    again = run_until(open_app("compare", left=runs.id_of(DENSE), right=runs.id_of(APP)), compared)
    assert "<td>dense</td><td>app</td>" in texts(again)


def test_other_prompts_have_other_scores_and_ranks(open_app: OpenApp) -> None:
    ran(DENSE, Settings(model="toy-induction", task="induction-random", pairs=4, seed=3, method=Method.DENSE))
    app = run_until(open_app("compare", among="all"), compared)
    page = texts(app)
    assert "Rank moves" in page and "Score difference" in page and "<tr class=differs><th scope=row>seed</th>" in page
    table = next(table.value for table in app.dataframe if "left rank" in table.value)
    assert len(table) == 24 and (table["places up"] == table["left rank"] - table["right rank"]).all()
    app.button_group("view_score").set_value("flap").run()
    assert app.query_params["score"] == "flap" and not app.exception


def test_a_head_chosen_opens_its_card_or_says_which_prompts_to_choose(open_app: OpenApp) -> None:
    ran(APP, DENSE)
    app = run_until(open_app("compare"), lambda app: any(box.key == "card_head" for box in app.selectbox))
    app.button_group("heads_common").set_value("1.2").run()
    app = run_until(app, lambda app: "On the logits directly" in texts(app))
    assert app.query_params["head"] == "1.2"
    other = run_until(open_app("compare", seed="9", head="1.2"), compared)
    assert "Neither run is of the model and prompts chosen" in texts(other) and not other.exception


def test_a_link_to_a_run_that_is_not_here_says_so_and_shows_others(open_app: OpenApp) -> None:
    ran(APP, DENSE)
    app = run_until(open_app("compare", left="00000000", right="file-00000000"), compared)
    said = [warning.value for warning in app.warning]
    assert len(said) == 2 and "no longer remembers it" in said[0] and "add that file again" in said[1]
    assert not app.exception


def saved(settings: Settings) -> dict:
    """The record of a run this server has done."""
    found = result_of(search_jobs.search_job(settings))
    model = background.background().shelf.at_hand(settings.model)
    assert model is not None
    return record.discovery_json(model, found)


def give(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader("run_files").set_value([(name, content, "application/json") for name, content in files])
    return app.run()


def test_a_run_from_a_file_is_compared_with_one_from_here(open_app: OpenApp) -> None:
    ran(APP)
    other = saved(APP) | {"model": "<i>mine</i>"}
    other["settings"]["model"] = "<i>mine</i>"
    app = give(open_app("compare"), ("run.json", json.dumps(other).encode()))
    app = run_until(app, compared)
    page = texts(app)
    assert not app.exception and not app.error
    assert "&lt;i&gt;mine&lt;/i&gt;" in page and "<i>mine</i>" not in page
    assert "Two models of one shape" in page and "Precision · recall" not in page
    name = app.selectbox("view_right").value
    assert name.startswith("file-") and any("run.json" in option for option in app.selectbox("view_right").options)


def test_a_run_of_another_shape_compares_by_its_numbers_alone(open_app: OpenApp) -> None:
    ran(APP)
    other = saved(APP)
    other["model_shape"]["n_heads"] = 13
    for matrix in (*other["scores"].values(), other["effects"]):
        for row in matrix:
            row.append(0.0)
    for row in other["keep"]:
        row.append(False)
    app = run_until(give(open_app("compare"), ("run.json", json.dumps(other).encode())), compared)
    page = texts(app)
    assert "These heads cannot be matched" in page and "2 × 12" in page and "2 × 13" in page
    assert "Rank moves" not in page and not app.exception


def test_files_that_hold_no_run_are_told_and_the_rest_lives(open_app: OpenApp) -> None:
    ran(APP)
    good = json.dumps(saved(APP) | {"task": "other"}).encode()
    app = give(
        open_app("compare"), ("photo.json", b"\x89PNG\r\n\x1a\n\xff"), ("old.json", b'{"schema": "other/1"}'),
        ("good.json", good),
    )  # fmt: skip
    app = run_until(app, compared)
    said = [error.value for error in app.error]
    assert len(said) == 2 and "photo" in said[0] and "a PNG picture" in said[0] and "schema" in said[1]
    assert not app.exception


def test_a_search_running_and_one_cancelled(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(APP)
    search = work.search
    monkeypatch.setattr(work, "search", lambda behind, settings, inner: search(behind, settings, Held(inner)))
    app = open_app("compare")
    app.button("start_dense").click().run()
    job = search_jobs.search_job(DENSE)
    app = run_until(app, lambda app: has_button("cancel_search")(app) and "Searching among all heads" in texts(app))
    app = run_until(app, lambda app: bool(job.snapshot().steps))
    app.button("cancel_search").click().run()
    app = run_until(app, compared)
    assert "The right run was cancelled." in texts(app) and "cancelled" in str(app.selectbox("view_right").options)
    assert not app.exception


def test_a_search_that_failed_is_said_so_and_can_be_tried_again(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def broken(*arguments: object) -> None:
        gate.wait(PATIENCE)
        raise HeadlightError("No such luck.")

    monkeypatch.setattr(work, "search", broken)
    app = open_app("compare")
    app.button("start_search").click().run()
    gate.set()
    app = run_until(app, lambda app: bool(app.error))
    assert "No such luck" in app.error[0].value and has_button("start_search")(app) and not app.exception
