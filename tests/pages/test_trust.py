"""Agreement, stability and receipts on the Verification page, in each of their states, on the toy model."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.circuit import Circuit, Edge, Input
from engine.errors import HeadlightError
from engine.heads import Head
from engine.nodes import Mlp
from engine.progress import Watcher
from engine.record.circuit_file import circuit_record
from engine.settings import Settings
from engine.trust.draws import Plan
from engine.trust.stability import Stability
from pages.shared import search_jobs, verification_jobs, work
from pages.shared.job_names import of
from pages.shared.view import View
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts

MINE = {
    "schema": "headlight-key/1", "model": "toy-induction", "task": "induction-random", "title": "Mine <b>",
    "source": "a note", "heads": ["1.2", "0.5"],
}  # fmt: skip
FEW = {"resamples": "2", "seeds": "1", "templates": "0"}
offered, searched = has_button("start_search"), has_button("own_key_keep")
ready, done = has_button("start_stability"), "came back in at least 90 % of"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path))
    return tmp_path


def found(open_app: OpenApp, **params: str) -> AppTest:
    """The page after a search."""
    app = run_until(open_app("verification", **(FEW | params)), lambda app: offered(app) or searched(app))
    if not searched(app):
        app.button("start_search").click().run()
    return run_until(app, lambda app: searched(app) and not app.exception)


def agreement(app: AppTest) -> list[list[str]]:
    """The cells of the table of agreements, row by row."""
    (table,) = re.findall(r'<table class="hl-table hl-agree">.*?<tbody>(.*?)</tbody>', texts(app), re.S)
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in table.split("</tr>")[:-1]
    ]


def test_before_a_search_nothing_is_judged(open_app: OpenApp) -> None:
    app = run_until(open_app("verification"), offered)
    assert "Does it agree" not in texts(app) and "Would it be found again" not in texts(app) and not app.exception


def test_the_toy_circuit_agrees_with_its_key(open_app: OpenApp) -> None:
    app = found(open_app)
    assert not app.exception and not app.error
    assert agreement(app) == [
        ["The toy model&#x27;s circuit, by construction", "2 of 2 · 2", "100 %", "100 %", "100 %", "names heads alone"]
    ]
    page = texts(app)
    assert "2 heads in both:" in page and "There is no dense run of these prompts yet" in page
    (scores,) = [frame.value for frame in app.dataframe if "area under ROC" in frame.value]
    assert list(scores["area under ROC"]) == [1.0] * len(scores) and "C-FLAP" in list(scores["score"])
    assert app.selectbox("view_reference").value == "key1"


def test_a_dense_run_becomes_the_reference(open_app: OpenApp) -> None:
    app = found(open_app)
    standard = View(model="toy-induction", task="induction-random", pairs=4).settings().standard()
    assert search_jobs.start_search(standard).wait(PATIENCE)
    app.run()
    first = agreement(app)[0]
    assert first[:2] == ["dense path patching", "2 of 2 · 2"] and first[5] == "2 of 2 · 2" and first[6] == "100 %"
    assert app.selectbox("view_reference").value == "dense"
    (scores,) = [frame.value for frame in app.dataframe if "area under ROC" in frame.value]
    assert scores["rank correlation with |effect|"].notna().all()
    again = found(open_app, among="all")  # the dense run itself
    assert "This circuit is the dense run itself" in texts(again)


def test_the_scores_that_take_longer_are_measured_on_request(open_app: OpenApp) -> None:
    app = found(open_app, reference="circuit")
    assert "favours the score that made the mask" in texts(app)
    app.button("measure_scores").click().run()

    def all_there(app: AppTest) -> bool:
        return any("Walk by estimates" in list(f.value["score"]) for f in app.dataframe if "area under ROC" in f.value)

    run_until(app, all_there)
    assert not has_button("measure_scores")(app) and not app.exception and not app.error


def test_a_key_is_typed_kept_chosen_and_deleted(open_app: OpenApp) -> None:
    app = found(open_app)
    app.text_area("own_key_text").set_value("1.2, 0.5").run()
    app.text_input("own_key_title").set_value("My <i> guess").run()
    app.button("own_key_keep").click().run()
    assert not app.exception and app.success[0].value.startswith("Kept\\: My")
    assert agreement(app)[1][:4] == ["My &lt;i&gt; guess", "1 of 2 · 2", "50 %", "50 %"]
    assert app.query_params["reference"] == "key2" and "1 head only in My &lt;i&gt; guess:" in texts(app)
    (delete,) = [button for button in app.button if str(button.key).startswith("forget_key-")]
    delete.click().run()
    assert len(agreement(app)) == 1 and "reference" not in app.query_params and not app.exception


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "got nothing"), ("nine", "layer.index"), ("1.2 7.3", "names 7.3, but toy-induction has layers 0 to 1"),
        ("{", "is not JSON"), (json.dumps(MINE | {"task": ""}), "field task"),
    ],
)  # fmt: skip
def test_a_wrong_key_says_what_is_wrong(open_app: OpenApp, cache: Path, text: str, says: str) -> None:
    app = found(open_app)
    app.text_area("own_key_text").set_value(text).run()
    app.button("own_key_keep").click().run()
    assert says in app.error[0].value.replace("\\", "") and not app.exception
    assert not list(cache.rglob("key-*.json")) and app.text_area("own_key_text").value == text


def test_a_key_is_uploaded_and_one_for_another_model_says_where_it_is(open_app: OpenApp) -> None:
    app = found(open_app)
    upload = app.file_uploader("own_key_upload")
    upload.set_value(("mine.json", json.dumps(MINE).encode(), "application/json")).run()
    assert agreement(app)[1][0] == "Mine &lt;b&gt;" and not app.error
    other = json.dumps(MINE | {"model": "gpt2", "task": "ioi"}).encode()
    app.file_uploader("own_key_upload").set_value(("other.json", other, "application/json")).run()
    assert "It is for gpt2 and ioi" in app.success[0].value.replace("\\", "") and len(agreement(app)) == 2


def test_the_circuit_is_found_again_and_a_reload_finds_that(open_app: OpenApp) -> None:
    app = found(open_app)
    assert "3 runs of the whole search, about" in texts(app)
    app.button("start_stability").click().run()
    run_until(app, lambda app: done in texts(app))
    page = texts(app)
    assert "Stable." in page and "2 of its 2 heads came back in at least 90 % of 3 runs" in page and not app.exception
    assert any("on the graph" in link.proto.label for link in app.get("page_link"))
    assert "2 resamples, 1 other seed" in page and "n = 4 fresh pairs of seed 1" in page
    heads = next(frame.value for frame in app.dataframe if "coin flip" in frame.value)
    assert list(heads["head"])[:2] == ["0.1", "1.2"] and list(heads["frequency"])[:2] == [1.0, 1.0]
    again = run_until(open_app("verification", **FEW, runs_of="resample"), lambda app: done in texts(app))
    heads = next(frame.value for frame in again.dataframe if "coin flip" in frame.value)
    assert list(heads["runs"])[:2] == [2, 2]
    again.number_input("view_resamples").set_value(4).run()
    assert again.query_params["resamples"] == "4" and ready(again)
    assert "Below: what was asked before, 2 resamples, 1 other seed." in texts(again)


def test_nothing_asked_and_one_run_alone(open_app: OpenApp) -> None:
    app = found(open_app, resamples="0", seeds="0", templates="0")
    assert "Ask for resamples, other seeds or left-out templates." in texts(app) and not ready(app)
    app.number_input("view_resamples").set_value(1).run()
    app.button("start_stability").click().run()
    run_until(app, lambda app: "One run alone says nothing about how often." in texts(app))
    assert "no frequency can be judged from it" in texts(app) and not app.exception


class Stopped(Watcher):
    """Passes on; after the first whole run it waits for the cancel."""

    def __init__(self, inner: Watcher, entered: threading.Event) -> None:
        self.inner, self.entered = inner, entered

    def report(self, stage: str, done: float, total: float) -> None:
        self.inner.report(stage, done, total)
        if stage == "stability" and done == 1:
            self.entered.set()
            for _ in range(int(100 * PATIENCE)):
                if self.inner.cancelled():
                    return
                threading.Event().wait(0.01)

    def cancelled(self) -> bool:
        return self.inner.cancelled()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set once the first run of a stability has ended; the job then waits for its cancel."""
    stability, entered = work.stability, threading.Event()

    def stopped(behind: Any, settings: Settings, plan: Plan, watcher: Watcher) -> Stability:
        return stability(behind, settings, plan, Stopped(watcher, entered))

    monkeypatch.setattr(work, "stability", stopped)
    return entered


def test_cancelled_the_runs_done_by_then_are_shown(open_app: OpenApp, held: threading.Event) -> None:
    app = found(open_app)
    app.button("start_stability").click().run()
    assert held.wait(PATIENCE)
    run_until(app, has_button("cancel_stability"))
    app.button("cancel_stability").click().run()
    run_until(app, has_button("again_stability"))
    assert "1 run had ended by then and count." in texts(app) and not app.exception
    assert "One run alone says nothing about how often." in texts(app)


def test_a_failure_says_why_and_can_be_tried_again(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise HeadlightError("No room <b> for it.")

    for name in ("stability", "receipt"):
        monkeypatch.setattr(work, name, broken)
    app = found(open_app, head="1.2")
    app.button("start_stability").click().run()
    run_until(app, has_button("again_stability"))
    app.button("start_receipt").click().run()
    run_until(app, has_button("again_receipt"))
    assert [error.value.replace("\\", "") for error in app.error] == ["No room <b> for it."] * 2 and not app.exception
    monkeypatch.undo()


def test_an_answer_key_can_be_judged_without_a_run_of_its_own(open_app: OpenApp) -> None:
    app = run_until(open_app("verification", subject="key1", **FEW), searched)
    assert "This circuit has no search of its own" in texts(app) and app.selectbox("view_reference").value == "circuit"
    app.button("start_stability").click().run()
    run_until(app, lambda app: done in texts(app))
    links = {link.proto.label for link in app.get("page_link")}
    assert not any("on the graph" in label for label in links) and not app.exception


def test_the_graph_shows_how_often(open_app: OpenApp) -> None:
    before = run_until(open_app("circuit", present="0.5"), offered)
    before.button("start_search").click().run()
    run_until(before, lambda app: any(box.key == "map_head" for box in app.selectbox))
    assert "nothing is left out for being rare" in texts(before)
    assert not any(slider.key == "view_present" for slider in before.slider)
    settings = View(model="toy-induction", task="induction-random", pairs=4).settings()
    assert verification_jobs.start_stability(settings, Plan(2, 0, False)).wait(PATIENCE)
    before.run()
    assert before.slider("view_present").value == 50 and "Opacity: the share of 2 runs" in texts(before)
    before.slider("view_present").set_value(100).run()
    assert before.query_params["present"] == "1" and "Shown: 2 of 2 heads, 2 of 2 edges" in texts(before)
    assert not before.exception


def test_jobs_have_names_and_lead_back() -> None:
    settings = View(model="toy-induction", task="induction-random", pairs=4, min_effect=0.02).settings()
    stability = of(("stability", settings, Plan()))
    assert (stability.what, stability.room) == ("Stability", "verification") and stability.view["min_effect"] == 0.02
    receipt = of(("receipt", settings, Circuit((), (), 2, 12), Head(1, 2)))
    assert (receipt.what, receipt.room) == ("Receipt", "verification") and "min_effect" not in receipt.view


def test_circuits_with_mlps_are_for_others_to_judge(open_app: OpenApp) -> None:
    app = found(open_app, mlps="1", edge="0.1-m1.mlp", receipt_of="edge")
    assert "Search without MLPs as nodes to see how often" in texts(app) and not ready(app)
    assert "This model has no edge 0.1-m1.mlp" in texts(app) and not app.exception and not app.error
    edge = Edge(Head(0, 1), Mlp(1), Input.MLP, -0.2)
    circuit = Circuit((Head(0, 1),), (edge,), 2, 12, (Mlp(1),))
    settings = Settings(model="toy-induction", task="induction-random", mlps=True)
    file = json.dumps(circuit_record(settings, circuit, {}, {})).encode()
    app.file_uploader("verification_upload").set_value(("mine.json", file, "application/json")).run()
    page = texts(app)
    assert "Left out: MLPs as nodes (1) and their edges (1)." in page and "1 head in both:" in page
    assert not app.exception and not app.error
