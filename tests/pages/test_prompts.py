"""The Prompts page: pairs in each of their states, and own tasks from rows to use."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import HeadlightError
from engine.progress import Watcher
from engine.tasks import own
from engine.tasks.repairs import Repair
from engine.tasks.table import Row
from pages.prompts import draft, linter
from pages.shared import background, work
from tests.pages.conftest import OpenApp, has_button, run_until, texts

ROWS = """clean,corrupted,answer,distractor
 coat bag river coat, coat key river coat,bag,key
 lake door farm lake, lake bone farm lake,door,bone
 dog cow river dog , dog bag river dog ,cow,bag
 apple key lake apple, apple key lake apple,key,dog
"""
TASK = own.own_task(
    [Row(1, " coat bag river coat", " coat key river coat", "bag", "key"),
     Row(2, " lake door farm lake", " lake bone farm lake", "door", "bone"),
     Row(3, " dog cow river dog", " dog bag river dog", "cow", "bag")], title="Mine <b>*",
)  # fmt: skip


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own tasks of a test are nobody else's."""
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))


def ready(app: AppTest) -> bool:
    """All pairs drawn and the drawings done."""
    return "pairs: " in texts(app) and not has_button("cancel_enough")(app)


def desk(open_app: OpenApp, **params: str) -> AppTest:
    """The desk for own tasks with the model at hand."""
    return run_until(open_app("prompts", own="1", **params), has_button("own_copy"))


def paste(app: AppTest, text: str) -> AppTest:
    app.text_area("own_paste").input(text).run()
    return app.button("own_read").click().run()


def rows_of(app: AppTest) -> list[tuple[str, ...]]:
    return [(row.clean, row.corrupted, row.answer, row.distractor) for row in app.session_state["headlight_draft"].rows]


def test_every_pair_is_shown_with_its_probabilities(open_app: OpenApp) -> None:
    app = run_until(open_app("prompts", pairs="12"), ready)
    page = texts(app)
    assert not app.exception and not app.error and not app.warning
    assert page.count('class="hl-pair hl-wide"') == 10 and "Shown: 10 of 12 pairs" in page
    assert page.count('<span class="columns"><span><q class="">') == 10
    assert page.count("after corrupted") == 10 and "answer preferred" in page
    assert "Accuracy by template" in page and "How many pairs are enough?" in page and "No head selected" in page


def test_the_filter_and_the_page_stand_in_the_link(open_app: OpenApp) -> None:
    app = run_until(open_app("prompts", pairs="12", pair_page="2"), ready)
    assert "Shown: 2 of 12 pairs" in texts(app) and "<b>Pair 12</b>" in texts(app)
    app.selectbox("view_pair_filter").set_value("2").run()
    assert app.query_params["pair_filter"] == "2" and "pair_page" not in app.query_params
    assert "Shown: 4 of 12 pairs" in texts(app)
    again = run_until(open_app("prompts", pairs="12", pair_filter="2"), ready)
    assert again.selectbox("view_pair_filter").value == "2" and "Shown: 4 of 12 pairs" in texts(again)


def test_no_wrong_pair_is_good_news_and_a_template_that_is_not_there_is_said(open_app: OpenApp) -> None:
    app = run_until(open_app("prompts", pair_filter="wrong"), ready)
    assert "After every clean prompt the model prefers the answer." in texts(app)
    app = run_until(open_app("prompts", pair_filter="9"), ready)
    assert "There is no template 9" in texts(app) and not app.exception


def test_the_drawings_run_can_be_cancelled_and_started_again(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, gate = work.enough, threading.Event()

    def held(behind: background.Background, settings: object, watcher: Watcher) -> object:
        while not gate.wait(0.01):
            watcher.step("drawing pairs again", 1, 2)
        return real(behind, settings, watcher)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "enough", held)
    app = run_until(open_app("prompts"), has_button("cancel_enough"))
    assert 'class="hl-pair hl-wide"' in texts(app)  # the rest of the page does not wait
    app.button("cancel_enough").click().run()
    app = run_until(app, has_button("again_enough"))
    gate.set()
    app.button("again_enough").click().run()
    app = run_until(app, ready)
    assert not app.exception and not app.error


def test_one_pair_cannot_be_drawn_from(open_app: OpenApp) -> None:
    app = run_until(open_app("prompts", pairs="1"), lambda app: "One pair tells nothing" in texts(app))
    assert not app.exception


def test_a_model_that_does_not_come_is_said_and_the_rows_stay(open_app: OpenApp) -> None:
    app = run_until(open_app("prompts", model="/no/such/folder", own="1"), has_button("again_ready"))
    app = paste(app, ROWS)
    assert "/no/such/folder" in app.error[0].value and not app.exception
    assert len(rows_of(app)) == 4 and "checked as soon as the model" in texts(app)
    assert app.button("own_use").disabled


def test_a_task_the_tokenizer_cannot_write_does_not_keep_from_bringing_rows(open_app: OpenApp) -> None:
    app = run_until(open_app("prompts", task="ioi", own="1"), has_button("again_ready"))
    app = paste(app, ROWS)
    assert "2 of 4 rows cannot be used yet." in texts(app) and not app.exception


def test_rows_are_checked_repaired_and_used_on_every_page(open_app: OpenApp) -> None:
    app = paste(desk(open_app), ROWS)
    page = texts(app)
    assert "2 of 4 rows cannot be used yet." in page and app.button("own_use").disabled
    assert "ends in a space" in page and "are the same" in page
    assert [button.label for button in app.button if (button.key or "").startswith("own_repair_3")] == [
        "Remove the space at the end", "Drop the row",
    ]  # fmt: skip
    app.button("own_repair_3_0").click().run()
    assert rows_of(app)[2] == (" dog cow river dog", " dog bag river dog", "cow", "bag")
    app.button("own_repair_4_0").click().run()
    assert "All 3 rows can be used." in texts(app) and len(rows_of(app)) == 3

    app.text_input("own_title").set_value("Mine <b>*").run()
    app.button("own_use").click().run()
    app = run_until(app, lambda app: "is in use" in "".join(box.value for box in app.success))
    assert app.query_params["task"] == TASK.name and app.query_params["pairs"] == "3"
    assert own.find_own(TASK.name) == TASK and not app.exception and not app.error

    again = run_until(open_app(task=TASK.name, pairs="16"), has_button("start_search"))
    assert "Does the model do the task?" in texts(again) and not again.exception and not again.error
    assert again.number_input("view_pairs").value == 3 and again.number_input("view_seed").disabled
    assert "all 3 rows are used" in texts(again)
    again.button("start_search").click().run()
    again = run_until(again, lambda app: "the same it was found on" in texts(app))
    assert not again.exception and "fresh pairs" not in texts(again)


def test_a_button_of_a_row_that_has_changed_since_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[list[Row]] = []
    first, second = TASK.rows[:2]
    monkeypatch.setattr(draft, "current", lambda: draft.Draft(rows=(first, second)))
    monkeypatch.setattr(draft, "put", put.append)
    linter._apply(replace(first, clean="as it was"), Repair("Drop the row", None))
    assert put == []
    linter._apply(first, Repair("Drop the row", None))
    assert put == [[second]]


def test_repair_all_and_the_ways_back(open_app: OpenApp) -> None:
    app = paste(desk(open_app), ROWS)
    app.button("own_repair_all").click().run()
    assert "1 of 4 rows cannot be used yet." in texts(app)
    app.button("own_drop_all").click().run()
    assert "All 3 rows can be used." in texts(app)
    for left in (4, 4):
        app.button("own_undo").click().run()
        assert len(rows_of(app)) == left
    assert rows_of(app)[2][0].endswith(" ") and not has_button("own_undo")(app)


def test_rows_survive_a_visit_to_another_page(open_app: OpenApp) -> None:
    app = paste(desk(open_app), ROWS)
    app.button("own_repair_3_0").click().run()
    before = rows_of(app)
    app.switch_page("explorer/page.py").run()
    app.switch_page("prompts/page.py").run()
    assert rows_of(app) == before and app.text_area("own_paste").value == ROWS
    assert "1 of 4 rows cannot be used yet." in texts(app) and not app.exception


def test_what_cannot_be_read_is_said_and_nothing_is_lost(open_app: OpenApp) -> None:
    app = paste(desk(open_app), ROWS)
    refused = {"": "There are no rows", "a,b\n1,2\n": "column clean is missing", 'x"y,"': "not valid CSV"}
    for text, words in refused.items():
        app = paste(app, text)
        assert words in "".join(error.value for error in app.error).replace("\\", "")
        assert len(rows_of(app)) == 4 and not app.exception
    app = paste(app, "clean,corrupted,answer,distractor\na,b,c\n" + "\n".join(ROWS.splitlines()[1:]))
    assert "1 row could not be read as written" in "".join(warning.value for warning in app.warning)
    assert len(rows_of(app)) == 5 and "The cell distractor is empty." in texts(app)


def test_rows_can_be_added(open_app: OpenApp) -> None:
    app = paste(desk(open_app), ROWS)
    app.button("own_add").click().run()
    assert len(rows_of(app)) == 8 and not app.exception


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8 text"),
        ("clean,corrupted,answer,distractor\né,b,c,d\n".encode("latin-1"), "not UTF-8 text"),
        (b"", "There are no rows"),
        (b"clean;corrupted;answer;distractor\n", "column clean is missing"),
        (b"clean,corrupted,answer,distractor\n" + b"a,b,c,d\n" * 2001, "at most 2000 are read"),
        (b'clean,corrupted,answer,distractor\n"a,b,c,d\n', "not valid CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(open_app: OpenApp, content: bytes, words: str) -> None:
    app = desk(open_app)
    app.file_uploader("own_file").upload("rows.csv", content, "text/csv").run()
    assert words in "".join(error.value for error in app.error).replace("\\", "") and not app.exception
    assert has_button("own_read")(app) and rows_of(app) == []


def test_a_file_is_read_once(open_app: OpenApp) -> None:
    app = desk(open_app)
    app.file_uploader("own_file").upload("rows.csv", ROWS.encode(), "text/csv").run()
    assert len(rows_of(app)) == 4
    app.button("own_drop_all").click().run()
    app.run()
    assert len(rows_of(app)) == 2


def test_the_present_task_can_be_copied_and_is_valid(open_app: OpenApp) -> None:
    app = desk(open_app)
    app.button("own_copy").click().run()
    assert "All 4 rows can be used." in texts(app) and len(rows_of(app)) == 4
    assert all(answer == answer.strip() for _, _, answer, _ in rows_of(app))


def test_markup_in_rows_is_shown_as_text(open_app: OpenApp) -> None:
    app = paste(desk(open_app), "clean,corrupted,answer,distractor\n<b>x</b> **y**,$z$ <i>w</i>,<u>a</u>,[b](c)\n")
    page = texts(app)
    for tag in ("<b>x", "<i>w", "<u>a"):
        assert tag not in page.replace("<b>Row", "").replace("<b>corrupted", "").replace("<b>clean", "")
    assert not app.exception


def test_kept_tasks_are_used_copied_renamed_and_deleted(open_app: OpenApp) -> None:
    own.keep(TASK)
    app = desk(open_app)
    app.button("own_kept_open").click().run()
    assert len(rows_of(app)) == 3 and app.text_input("own_title").value == "Mine <b>*"
    app.text_input(f"own_rename_{TASK.name}").set_value("Yours").run()
    assert own.find_own(TASK.name).title == "Yours"
    app.button("own_kept_use").click().run()
    assert app.query_params["task"] == TASK.name
    app = run_until(app, has_button("own_copy"))
    app.button("own_kept_delete").click().run()
    assert own.kept() == () and not app.exception
    assert "not kept on this machine any more" in texts(app) and len(rows_of(app)) == 3


def test_a_link_to_a_task_that_is_not_kept_here_says_so(open_app: OpenApp) -> None:
    app = open_app("prompts", task=TASK.name)
    (warning,) = app.warning
    assert TASK.name in warning.value.replace("\\", "") and "on this machine" in warning.value
    assert app.query_params["task"] == "ioi" and not app.exception


def test_a_cache_that_cannot_be_written_is_said(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(task: own.OwnTask) -> None:
        raise HeadlightError("The cache folder cannot be written")

    app = paste(desk(open_app), "\n".join(ROWS.splitlines()[:3]))
    monkeypatch.setattr(own, "keep", refused)
    app.button("own_use").click().run()
    assert "cannot be written" in "".join(error.value for error in app.error) and len(rows_of(app)) == 2
