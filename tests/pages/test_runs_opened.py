"""A run opened on the Runs page, from the store or from a file, without its model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.capsule.reading import read_capsule
from engine.errors import HeadlightError
from engine.record.json_values import dumps
from engine.settings import Settings
from engine.store.home import home
from engine.store.store import RunStore
from pages.runs import reading
from pages.runs.bring import inbox_files
from pages.runs.take_away import file_stem
from pages.shared.background import background
from tests.pages.conftest import OpenApp, has_button, run_until, texts
from tests.pages.test_runs import APP, left_behind, ran

GONE = Settings(model="a-model-nobody-has", task="induction-random", pairs=4)


def is_open(app: AppTest) -> bool:
    return "Fingerprint of the model" in texts(app) and not app.exception


def opened(open_app: OpenApp, run: str, **params: str) -> AppTest:
    return run_until(open_app("runs", run=run, **params), is_open)


def without_its_model() -> str:
    """A run of a model that is not on this machine; its id."""
    [run] = ran(APP)
    record = RunStore().read(run)
    record |= {"model": GONE.model, "settings": record["settings"] | {"model": GONE.model}}
    return RunStore().add(record)


def test_a_run_opens_without_its_model(open_app: OpenApp) -> None:
    app = opened(open_app, without_its_model())
    page = texts(app)
    assert not app.error and not app.warning
    for words in ("What was found", "of 24 heads", "Performance", "mean ablation", "Scores and effects", "PyTorch",
                  "Layers upward", "4 steps of the search", "4 prompt pairs", "Time and work by stage"):  # fmt: skip
        assert words in page or words in [box.label for box in app.expander], words
    assert not background().shelf.count() or background().shelf.at_hand(GONE.model) is None
    columns = [name for frame in app.dataframe for name in frame.value.columns]
    assert "outcome" in columns and "answer tokens" in columns, "the steps and the prompts"


def test_score_head_and_edge_shown_stand_in_the_address(open_app: OpenApp) -> None:
    [run] = ran(APP)
    app = opened(open_app, run)
    app.selectbox("view_score").set_value("flap").run()
    assert app.query_params["score"] == "flap"
    app.selectbox("opened_head").set_value("1.2").run()
    assert app.query_params["head"] == "1.2" and "Head 1.2: sends along" in texts(app)
    app.selectbox("opened_edge").set_value("0.1-1.2.k").run()
    assert app.query_params["edge"] == "0.1-1.2.k" and not app.exception


def test_a_damaged_run_and_an_unknown_one_are_told(open_app: OpenApp) -> None:
    [run] = ran(APP)
    [file] = (home() / "runs" / run).glob("*.safetensors")
    file.write_bytes(b"damaged")
    background().kept.changed()
    app = open_app("runs", run=run)
    assert "damaged or lost" in texts(app) and "What was found" not in texts(app) and not app.exception
    app = open_app("runs", run="0123456789ab")
    assert "This run is not here" in texts(app) and not app.exception


def test_a_run_that_found_nothing_says_why_and_offers_the_way_on(open_app: OpenApp) -> None:
    run = left_behind(APP, "failed")
    app = open_app("runs", run=run)
    assert "The disk was full." in texts(app) and has_button(f"go_on_{run}")(app) and "The circuit" not in texts(app)
    assert not app.error and not app.exception, "nothing is read where there is nothing"


def test_a_deleted_run_can_be_restored_where_it_is_open(open_app: OpenApp) -> None:
    [run] = ran(APP)
    app = opened(open_app, run)
    app.button("delete_runs").click().run()
    assert "run" not in app.query_params and "1 run deleted." in texts(app)
    app = opened(open_app, run)
    assert "Deleted." in texts(app)
    app.button("restore_opened").click().run()
    assert RunStore().get(run).deleted is None and has_button("delete_runs")(app)


def test_settings_the_pages_cannot_ask_for_are_told(open_app: OpenApp) -> None:
    [run] = ran(APP)
    record = RunStore().read(run)
    record["settings"]["prepend_bos"] = True
    app = opened(open_app, RunStore().add(record))
    assert "cannot be chosen on these pages" in texts(app)


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    return app.file_uploader("capsule_upload").set_value((name, content, "application/octet-stream")).run()


def test_a_capsule_is_looked_at_kept_and_the_same(open_app: OpenApp) -> None:
    [run] = ran(APP)
    store = RunStore()
    store.attach(run, "labels", "labels", {"names": {"1.2": "copier"}})
    store.attach(run, "evaluation", "mean-seed1", {"faithfulness": {"value": 0.5, "low": None}, "empty": False})
    content = reading.as_capsule(reading.opened(store, run), "Mine", ("for class",))
    capsule = read_capsule(content)
    assert capsule.labels == {"names": {"1.2": "copier"}, "name": "Mine", "tags": ["for class"]}
    app = run_until(upload(open_app("runs"), "mine.headlight", content), is_open)
    assert app.query_params["run"] == reading.id_of(content) and "in this tab alone" in texts(app)
    app.button("keep_brought").click().run()
    kept = app.query_params["run"]
    assert dumps(store.read(kept)) == dumps(store.read(run)) and store.attachments(kept) == store.attachments(run)
    assert (store.get(kept).name, store.get(kept).tags) == ("Mine", ("for class",))
    app = run_until(app.run(), is_open)
    assert "Evaluation of its heads" in [box.label for box in app.expander]
    table = next(frame.value for frame in app.dataframe if "value of" in frame.value)
    assert list(table["value of"]) == ["faithfulness.value", "faithfulness.low", "empty"]
    assert list(table["is"]) == ["0.5", "–", "no"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("photo.headlight", b"\x89PNG\r\n\x1a\n", "PNG"),
        ("broken.headlight", b"PK\x03\x04 no zip at all", "capsule"),
        ("a*b.json", b"{", "not JSON"),
        ("other.json", b'{"schema": "headlight/9"}', "headlight/1"),
    ],
)
def test_what_is_no_run_is_refused_with_a_reason(open_app: OpenApp, name: str, content: bytes, reason: str) -> None:
    app = run_until(upload(open_app("runs"), name, content), lambda app: bool(app.error))
    assert reason in app.error[0].value.replace("\\", "") and not app.exception
    assert not has_button("keep_brought")(app) and RunStore().all() == []


def test_a_link_to_a_file_of_another_tab_asks_for_it(open_app: OpenApp) -> None:
    app = open_app("runs", run="file-01234567")
    assert "not here any more" in texts(app) and not app.exception


def test_the_inbox_offers_files_and_follows_no_links(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    [run] = ran(APP)
    inbox, secret = home() / "inbox", home() / "secret.json"
    inbox.mkdir()
    secret.write_text("{}")
    (inbox / "linked.json").symlink_to(secret)
    (inbox / "notes.txt").write_text("no run")
    (inbox / "run.headlight").write_bytes(reading.as_capsule(reading.opened(RunStore(), run), "", ()))
    assert inbox_files(inbox) == ["run.headlight"]
    app = open_app("runs")
    app.selectbox("inbox_file").set_value("run.headlight").run()
    app = run_until(app, is_open)
    assert app.query_params["run"].startswith("file-") and not app.error
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    assert "inbox_file" not in [box.key for box in open_app("runs").selectbox]


def test_the_script_of_a_run_makes_it_again(open_app: OpenApp, tmp_path: Path) -> None:
    from pages.runs.take_away import _notebook, _script

    [run] = ran(APP)
    read = reading.opened(RunStore(), run)
    script = tmp_path / "run.py"
    script.write_text(_script(read))
    root = Path(__file__).parents[2]
    here = {"PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env=here)
    assert done.returncode == 0 and "reproduced" in done.stdout, done.stdout + done.stderr
    assert json.loads(_notebook(read))["nbformat"] == 4


def test_names_of_files_are_plain() -> None:
    assert file_stem("../../etc/Passwd · “x”") == "etc-passwd-x" and file_stem("…") == "run"


def test_reading_tells_what_is_wrong() -> None:
    with pytest.raises(HeadlightError, match="schema"):
        reading.brought(b"{}")
