"""The Verification page in each of its states, on the toy model whose circuit is 0.1 → 1.2 → logits."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.circuit import Circuit, Edge, Input
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.heads import Head
from engine.nodes import Mlp
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record.circuit_file import circuit_record
from engine.settings import Settings
from engine.trust.self_tests import SelfTest, SelfTests
from pages.shared import self_tests, work
from pages.verification import starting
from tests.pages.conftest import OpenApp, has_button, run_until, texts

TOY = Settings(model="toy-induction", task="induction-random", seed=0)
INDUCTION, PREVIOUS = Head(1, 2), Head(0, 1)
EDGES = (Edge(INDUCTION, None, Input.LOGITS, -1.0), Edge(PREVIOUS, INDUCTION, Input.K, -0.5))
# Two heads that do nothing are in, and one of them sends a needless edge.
PADDED = Circuit(
    (PREVIOUS, Head(0, 5), INDUCTION, Head(1, 7)), (*EDGES, Edge(Head(1, 7), None, Input.LOGITS, 0.1)), 2, 12
)  # fmt: skip
FILE = circuit_record(TOY, PADDED, {}, {})
GPT2 = circuit_record(Settings(model="gpt2"), Circuit((Head(9, 9),), (), 12, 12), {}, {})

SIZES = "<span>CPR</span>"  # a card near the end of the evaluation

offered = has_button("start_search")


def judged(app: AppTest) -> bool:
    return "Every head as a table" in expanders(app) and "Every edge as a table" in expanders(app)


def expanders(app: AppTest) -> str:
    return " ".join(each.label for each in app.expander)


def found(open_app: OpenApp, **params: str) -> AppTest:
    app = run_until(open_app("verification", **params), lambda app: offered(app) or judged(app))
    if offered(app):
        app.button("start_search").click().run()
    return run_until(app, judged)


def upload(app: AppTest, name: str, content: Any) -> AppTest:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return app.file_uploader("verification_upload").set_value((name, data, "application/json")).run()


def test_before_a_search_the_page_leads_to_one_and_to_the_answer_key(open_app: OpenApp) -> None:
    app = run_until(open_app("verification"), offered)
    page = texts(app)
    assert not app.exception and not app.error
    assert "Nothing has been searched yet" in page and "can be verified without a search" in page
    assert "Does the circuit do the task alone?" not in page
    assert list(app.selectbox("view_subject").options) == [
        "The circuit found here", "Answer key: The toy model's circuit, by construction",
    ]  # fmt: skip


def test_the_circuit_found_is_judged_from_every_side(open_app: OpenApp) -> None:
    app = found(open_app)
    page = texts(app)
    assert not app.exception and not app.error and not app.warning
    for words in (
        "Its heads alone keep 10", "Complete.", "Better than chance.", "CPR", "CMD", "Owed to its own prompts",
        "n = 4 fresh pairs, seed 1, mean ablation", "by its edges alone", "value on the own corrupted prompt",
    ):  # fmt: skip
        assert words in page
    assert "7 self-tests passed" in [each.proto.popover.label for each in app.get("popover")]
    assert "inside the noise" not in page  # both heads and both edges are needed


def test_another_ablation_is_another_evaluation_with_its_own_address(open_app: OpenApp) -> None:
    app = found(open_app)
    app.segmented_control("view_ablation").set_value("zero").run()
    app = run_until(app, lambda app: "zero ablation" in texts(app) and judged(app))
    assert app.query_params["ablation"] == "zero" and not app.exception
    assert "seed 1, mean ablation" not in texts(app)


def test_an_answer_key_is_judged_without_a_search(open_app: OpenApp) -> None:
    app = run_until(open_app("verification", subject="key1"), lambda app: "Every head as a table" in expanders(app))
    page = texts(app)
    assert not app.exception and not app.error and not offered(app)
    assert "2 heads, no edges. Source:" in page and "Better than chance." in page and "No edges to verify" in page
    assert "self-tests" not in page
    app.selectbox("view_subject").set_value("run").run()
    assert "subject" not in app.query_params and "Nothing has been searched yet" in texts(app)


def test_of_a_graph_with_mlps_the_heads_are_judged_and_that_is_said(open_app: OpenApp) -> None:
    graph = {
        "cfg": {"n_layers": 2, "n_heads": 12}, "nodes": {"m0": True},
        "edges": {
            "a0.h1->a1.h2<k>": {"score": 0.5, "in_graph": True}, "a1.h2->logits": {"score": 0.5, "in_graph": True},
            "m0->logits": {"score": 0.5, "in_graph": True},
        },
    }  # fmt: skip
    app = run_until(upload(run_until(open_app("verification"), offered), "mib.json", graph), judged)
    page = texts(app)
    assert "2 heads and 2 edges, of a model and a task it does not name. Effects are the scores of the file" in page
    assert "Left out: MLPs as nodes (1) and their edges (1)" in page
    assert "by its edges alone" in page and not app.exception and not app.error


@pytest.mark.parametrize(
    ("subject", "words"), [("key7", "no answer key number 7"), ("file", "No file has been brought")]
)
def test_a_subject_that_is_not_there_is_told(open_app: OpenApp, subject: str, words: str) -> None:
    app = run_until(open_app("verification", subject=subject), offered)
    assert words in texts(app) and app.selectbox("view_subject").value == "run" and not app.exception


def test_a_key_with_heads_the_model_lacks_is_refused(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.trust.answer_key_file import AnswerKey
    from pages.verification import subject

    wrong = AnswerKey("toy-induction", "induction-random", "Too high", "nowhere", {Head(7, 3): ""})
    monkeypatch.setattr(subject, "answer_keys", lambda model, task: (wrong,))
    app = run_until(open_app("verification", subject="key1"), lambda app: bool(app.error))
    assert "names 7\\.3" in app.error[0].value and not app.exception and "task alone" not in texts(app)


def test_a_file_is_judged_and_its_idle_parts_are_listed(open_app: OpenApp) -> None:
    app = upload(run_until(open_app("verification"), offered), "mine.json", FILE)
    assert app.query_params["subject"] == "file"
    app = run_until(app, judged)
    page = texts(app)
    assert not app.exception and not app.error
    assert "4 heads and 3 edges, found on toy-induction" in page
    assert "2 heads inside the noise" in page and "1 edge inside the noise" in page and "<span>0.5</span>" in page
    app.button("remove_subject").click().run()
    assert "mine.json" not in texts(app) and "Nothing has been searched yet" in texts(app) and not app.exception


def test_files_of_other_models_and_no_circuits_are_refused(open_app: OpenApp) -> None:
    app = upload(run_until(open_app("verification"), offered), "gpt2.json", GPT2)
    assert "It cannot be verified here" in texts(app) and "12 × 12 heads" in texts(app) and not app.exception
    app = upload(app, "a*b.json", b"{")
    assert "not JSON" in app.error[0].value and not app.exception


def test_an_empty_circuit_is_said_to_be_one(open_app: OpenApp) -> None:
    empty = {**FILE, "circuit": {"heads": [], "edges": []}}
    app = upload(run_until(open_app("verification"), offered), "none.json", empty)
    app = run_until(app, lambda app: "Nothing to take out" in texts(app))
    page = texts(app)
    assert "An empty circuit: there are no heads to judge" in page and "No other circuit to compare with" in page
    assert "No edges to verify" in page and not app.exception and not app.error


def test_one_pair_has_numbers_without_intervals(open_app: OpenApp) -> None:
    app = run_until(open_app("verification", subject="key1", pairs="1"), lambda app: SIZES in texts(app))
    page = texts(app)
    assert "One pair has no interval" in page and "one pair has no interval" in page and not app.exception
    assert page.count("How sure this is cannot be told.") == 2 and "<b>Yes.</b>" not in page
    assert "inside the noise" not in page  # nothing is judged


def test_where_corruption_changes_nothing_shares_are_undefined_and_said_to_be(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = work.ready

    def unchanged(*arguments: Any) -> Any:
        found = ready(*arguments)
        pairs = tuple(replace(pair, corrupted_tokens=pair.clean_tokens) for pair in found.prompts.pairs)
        return prepare(found.model, found.settings, Watcher(), replace(found.prompts, pairs=pairs))

    monkeypatch.setattr(work, "ready", unchanged)
    app = upload(run_until(open_app("verification"), offered), "mine.json", FILE)
    app = run_until(app, judged)
    page = texts(app)
    assert "The metric is the same on clean and corrupted prompts" in page and not app.exception and not app.error
    assert page.count("This cannot be told.") == 4 and "Shares are undefined here" in page
    assert "undefined: it would be a ratio to nothing" in page and "nan" not in page.lower()


def test_a_long_evaluation_waits_for_a_button(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "AT_ONCE", -1.0)
    app = run_until(open_app("verification", subject="key1"), has_button("start_evaluate"))
    assert "on this machine (estimate)" in texts(app) and SIZES not in texts(app)
    app.button("start_evaluate").click().run()
    app = run_until(app, lambda app: SIZES in texts(app))
    assert not app.exception


@pytest.mark.parametrize(("job", "words"), [("evaluate", "Complete."), ("edges", "by its edges alone")])
def test_a_failure_is_told_where_it_happened_and_tried_again(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, job: str, words: str
) -> None:
    def broken(*arguments: object) -> None:
        raise HeadlightError("No memory left.")

    real = getattr(work, job)
    monkeypatch.setattr(work, job, broken)
    app = run_until(open_app("verification"), offered)
    app.button("start_search").click().run()
    app = run_until(app, has_button(f"again_{job}"))
    assert "No memory left" in app.error[0].value and words not in texts(app) and not app.exception
    monkeypatch.setattr(work, job, real)
    app.button(f"again_{job}").click().run()
    assert not run_until(app, judged).error and words in texts(app)


@pytest.mark.parametrize("job", ["evaluate", "edges"])
def test_it_can_be_cancelled_and_started_again(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, job: str) -> None:
    entered, real = threading.Event(), getattr(work, job)

    def held(*arguments: Any) -> Any:
        watcher = arguments[-1]
        entered.set()
        while True:  # until it is cancelled, which raises
            watcher.step("waiting", 0, 1)
            time.sleep(0.01)

    monkeypatch.setattr(work, job, held)
    app = run_until(open_app("verification"), offered)
    app.button("start_search").click().run()
    app = run_until(app, lambda app: entered.is_set() and has_button(f"cancel_{job}")(app))
    app.button(f"cancel_{job}").click().run()
    app = run_until(app, has_button(f"again_{job}"))
    assert "Cancelled." in texts(app) and not app.exception
    monkeypatch.setattr(work, job, real)
    app.button(f"again_{job}").click().run()
    assert not run_until(app, judged).exception


def test_the_part_a_cancelled_search_found_is_judged_as_that(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = work.search

    def part(*arguments: Any) -> Discovery:
        run = search(*arguments)
        circuit = replace(run.circuit, heads=(INDUCTION,), edges=EDGES[:1])
        return replace(run, circuit=circuit, verification=None, complete=False, self_tests=None)

    monkeypatch.setattr(work, "search", part)
    app = found(open_app)
    page = texts(app)
    assert "Its search was cancelled." in page and "In part." in page and not app.exception
    assert "self-tests passed" not in str([each.proto.popover.label for each in app.get("popover")])


def test_a_circuit_with_mlps_as_nodes_is_not_taken_for_one_of_heads(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = work.search

    def with_mlps(*arguments: Any) -> Discovery:
        run = search(*arguments)
        edge = Edge(Mlp(0), INDUCTION, Input.V, -0.1)
        return replace(run, circuit=replace(run.circuit, mlps=(Mlp(0),), edges=(*run.circuit.edges, edge)))

    monkeypatch.setattr(work, "search", with_mlps)
    app = run_until(open_app("verification"), offered)
    app.button("start_search").click().run()
    app = run_until(app, lambda app: "This circuit has MLPs as nodes" in texts(app))
    assert not app.exception and not app.error and "task alone" not in texts(app)


def test_a_badge_names_what_failed() -> None:
    tests = SelfTests((SelfTest("full patch", 0.3, 1e-4), SelfTest("attention rows", 0.0, 1e-4)), (), 2, 1.0)
    assert self_tests.title(tests) == ":red[1 of 2 self-tests failed: full patch]"
    assert self_tests.title(replace(tests, tests=tests.tests[1:])) == "1 self-test passed"
