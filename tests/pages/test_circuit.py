"""The Circuit page in each of its states, on the toy model whose circuit is 0.1 → 1.2 → logits."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.circuit import Circuit, Edge, Input
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.heads import Head
from engine.progress import Watcher
from engine.record.circuit_file import circuit_record
from engine.settings import Settings
from pages.circuit.selection import plain_name
from pages.circuit.shown import SOURCES
from pages.shared import work
from tests.pages.conftest import OpenApp, has_button, run_until, texts
from tests.pages.test_explorer import Held

TOY = Settings(model="toy-induction", task="induction-random", seed=0)
FILE = circuit_record(TOY, Circuit((Head(0, 1), Head(1, 2)), (), 2, 12), {Head(1, 2): "its name"}, {})
GPT2 = circuit_record(
    Settings(model="gpt2"),
    Circuit((Head(5, 5), Head(9, 9)), (Edge(Head(9, 9), None, Input.LOGITS, -0.4),), 12, 12),
    {},
    {Head(9, 9): "name-mover-like"},
)

offered = has_button("start_search")


def drawn(app: AppTest) -> bool:
    return any(box.key == "map_head" for box in app.selectbox)


def roles_known(app: AppTest) -> bool:
    return "of 2 heads have a role" in texts(app)


def found(open_app: OpenApp, **params: str) -> AppTest:
    app = run_until(open_app("circuit", **params), lambda app: offered(app) or drawn(app))
    if not drawn(app):
        app.button("start_search").click().run()
    return run_until(app, lambda app: drawn(app) and roles_known(app))


def upload(app: AppTest, name: str, content: Any) -> AppTest:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return app.file_uploader("circuit_upload").set_value((name, data, "application/json")).run()


def test_before_a_search_the_page_offers_one_and_takes_files(open_app: OpenApp) -> None:
    app = run_until(open_app("circuit"), offered)
    page = texts(app)
    assert not app.exception and not app.error
    assert "Nothing has been searched yet" in page and "Bring a circuit" in page and "The graph" not in page


def test_while_the_model_loads_and_when_it_cannot(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise HeadlightError("No such model here.")

    monkeypatch.setattr(work, "prepare_anew", broken)
    app = run_until(open_app("circuit"), has_button("again_ready"))
    assert not app.exception and "No such model here" in app.error[0].value and "Bring a circuit" not in texts(app)


def test_ready_shows_the_graph_roles_tables_and_files(open_app: OpenApp) -> None:
    app = found(open_app)
    page = texts(app)
    assert not app.exception and not app.error and not app.warning
    assert list(app.selectbox("map_head").options) == ["0.1 · previous token", "1.2 · induction"]
    for words in ("Shown: 2 of 2 heads, 2 of 2 edges", "Performance", "Faithfulness", "2 of 2 heads have a role"):
        assert words in page
    rules = dict(re.findall(r"</i> ([\w -]+)</th>.*?<td>([^<]*)</td></tr>", page))
    assert rules == {
        "previous token": "0.1", "duplicate token": "none", "induction": "1.2", "S-inhibition-like": "unknown",
        "name-mover-like": "1.2", "negative name-mover-like": "none",
    }  # fmt: skip
    assert "attention of 0.40 or more to the token before</td><td>88 positions" in page


def test_a_head_is_found_pinned_named_and_all_of_it_stands_in_the_url(open_app: OpenApp) -> None:
    app = found(open_app)
    app.selectbox("map_head").set_value("1.2").run()
    assert app.query_params["head"] == "1.2" and "1 neighbour: 0.1" in texts(app)
    assert re.search(r"Behaves like: induction \(attention 1\.00, n = \d+\)", texts(app))  # on its card
    app.toggle("map_pin").set_value(True).run()
    app.text_input("map_name_1.2").set_value(" my ~ mover, <b> ").run()
    assert not app.exception
    assert app.query_params["pins"] == "1.2" and app.query_params["names"] == "1.2~my mover <b>"
    assert list(app.selectbox("map_head").options)[1] == "1.2 · my mover <b>"

    again = found(open_app, pins="1.2", names="1.2~my mover <b>", weakest="0.95")
    assert list(again.selectbox("map_head").options)[1] == "1.2 · my mover <b>" and "Pinned: 1.2" in texts(again)
    again.button("unpin_all").click().run()
    assert "pins" not in again.query_params


def test_an_edge_says_what_it_does_and_leads_to_its_heads(open_app: OpenApp) -> None:
    app = found(open_app, edge="0.1-1.2.k")
    assert "0.1 → 1.2 through its k" in texts(app)
    app.button("end_0.1").click().run()
    assert app.query_params["head"] == "0.1" and not app.exception


def test_filters_say_how_much_is_left_and_are_reset(open_app: OpenApp) -> None:
    app = found(open_app, inputs="k,v", sign="lowers", strongest="5")
    assert "Shown: 2 of 2 heads, 1 of 2 edges" in texts(app)
    app.toggle("view_connected").set_value(True).run()
    assert "Shown: 0 of 2 heads, 0 of 2 edges" in texts(app) and not app.exception
    app.button("reset_filters").click().run()
    assert "Shown: 2 of 2 heads, 2 of 2 edges" in texts(app)
    assert not {"inputs", "sign", "strongest", "connected"} & app.query_params.keys()


def test_the_answer_key_is_hidden_until_it_is_chosen(open_app: OpenApp) -> None:
    app = found(open_app, head="1.2")
    page = texts(app)
    assert "Guess first" in page and "Recall" not in page and "In the published circuit" not in page
    app.selectbox("view_answer_key").set_value(1).run()
    page = texts(app)
    assert "Precision" in page and "2 of 2 heads of the key" in page and "previous token: 1 of 1" in page
    assert "In the published circuit" in page and app.query_params["answer_key"] == "1"


def test_by_layer_a_layer_can_be_opened_without_a_mouse(open_app: OpenApp) -> None:
    app = found(open_app, drawn="layers")
    app.multiselect("view_opened").set_value(["1"]).run()
    assert app.query_params["opened"] == "1" and not app.exception
    app.segmented_control("view_drawn").set_value("heads").run()
    assert app.query_params["drawn"] == "heads" and not app.exception


def test_a_search_that_ended_empty_says_so(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    search = work.search

    def empty(*arguments: Any) -> Discovery:
        run = search(*arguments)
        return replace(run, circuit=replace(run.circuit, heads=(), edges=()), steps=())

    monkeypatch.setattr(work, "search", empty)
    app = run_until(open_app("circuit"), offered)
    app.button("start_search").click().run()
    app = run_until(app, lambda app: "An empty circuit" in texts(app))
    assert not app.exception and "Bring a circuit" in texts(app) and not drawn(app)


def test_a_cancelled_search_shows_its_part(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, search = threading.Event(), work.search
    monkeypatch.setattr(
        work, "search", lambda behind, settings, inner: search(behind, settings, Held(inner, entered))
    )
    app = run_until(open_app("circuit"), offered)
    app.button("start_search").click().run()
    run_until(app, lambda app: entered.is_set() and has_button("cancel_search")(app))
    app.button("cancel_search").click().run()
    app = run_until(app, drawn)
    assert "What had been found by then is kept" in texts(app) and "Not verified" in texts(app)
    assert [option.partition(" ")[0] for option in app.selectbox("map_head").options] == ["1.2"]


def test_roles_that_cannot_be_measured_leave_the_rest_alone(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise HeadlightError("No hook on attention.")

    monkeypatch.setattr(work, "roles", broken)
    app = run_until(open_app("circuit"), offered)
    app.button("start_search").click().run()
    app = run_until(app, has_button("again_roles"))
    assert drawn(app) and "No hook on attention" in app.error[0].value and not app.exception


def test_roles_wait_their_turn_and_hold_nothing_up(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, roles = threading.Event(), work.roles

    def slow(behind: Any, settings: Settings, watcher: Watcher) -> Any:
        while not gate.wait(0.01):
            watcher.step("roles", 1, 4)
        return roles(behind, settings, watcher)

    monkeypatch.setattr(work, "roles", slow)
    app = run_until(open_app("circuit"), offered)
    app.button("start_search").click().run()
    app = run_until(app, lambda app: drawn(app) and "Measuring where every head looks" in texts(app))
    app.selectbox("map_head").set_value("1.2").run()
    assert app.query_params["head"] == "1.2" and "1 neighbour" in texts(app)
    gate.set()
    assert not run_until(app, roles_known).exception


def test_a_file_of_this_model_is_shown_verified_and_removed(open_app: OpenApp) -> None:
    app = upload(run_until(open_app("circuit"), offered), "mine.json", FILE)
    app = run_until(app, roles_known)
    assert not app.exception and not app.error
    assert list(app.selectbox("map_head").options)[1] == "1.2 · its name"
    app.button("verify_import").click().run()
    app = run_until(app, lambda app: "LD circuit ÷ LD model" in texts(app))
    assert "n = 4 fresh pairs, seed 1, mean ablation" in texts(app)
    app.segmented_control("headlight_circuit_source").set_value(SOURCES[0]).run()
    assert "Nothing has been searched yet" in texts(app) and not app.exception
    app.button("remove_import").click().run()
    assert not app.segmented_control and "mine.json" not in texts(app) and not app.exception


def test_it_is_verified_on_prompts_it_was_not_found_on(open_app: OpenApp) -> None:
    """The page's fresh seed, 1, is that of the file's own prompts."""
    app = upload(run_until(open_app("circuit"), offered), "mine.json", {**FILE, "settings": {"seed": 1}})
    run_until(app, has_button("verify_import")).button("verify_import").click().run()
    app = run_until(app, lambda app: "LD circuit ÷ LD model" in texts(app))
    assert "fresh pairs, seed 2" in texts(app)


def test_a_file_of_another_model_is_looked_at_and_not_verified(open_app: OpenApp) -> None:
    app = upload(run_until(open_app("circuit"), offered), "gpt2.json", GPT2)
    page = texts(app)
    assert not app.exception and not app.error
    assert "The file is of gpt2, 12 × 12 heads; this page shows toy-induction, 2 × 12" in page
    assert "not verified" in page and not has_button("verify_import")(app)
    assert list(app.selectbox("map_head").options) == ["5.5", "9.9 · name-mover-like"]
    assert "Roles drawn above are those the file gives" in page and "One head" not in page
    app.selectbox("view_answer_key").set_value(1).run()  # its own model's key
    assert "2 of 2 heads found" in texts(app) and not app.exception


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "a PNG picture"),
        (b"{", "not JSON"),
        ({**FILE, "circuit": {"heads": ["7.0"], "edges": []}}, "layers 0 to 1"),
        ({**FILE, "schema": "<script>"}, "script"),
        (b"<!DOCTYPE x><graphml/>", "document type"),
        ({"cfg": {"n_layers": 2, "n_heads": 12}, "edges": {"*": {}}}, "An edge is called"),
    ],
)
def test_what_is_no_circuit_is_refused_and_the_page_stays(open_app: OpenApp, content: Any, words: str) -> None:
    app = upload(run_until(open_app("circuit"), offered), "a*b.json", content)
    (error,) = app.error
    assert words in error.value and not app.exception and offered(app)
    app = run_until(upload(app, "mine.json", FILE), drawn)
    assert not app.error and not app.exception


MIB = {
    "cfg": {"n_layers": 2, "n_heads": 12, "parallel_attn_mlp": False, "d_model": 240},
    "nodes": {"input": {"in_graph": True}, "m0": {"in_graph": True}},
    "edges": {
        "input->a0.h1<q>": {"score": 0.5, "in_graph": True}, "a0.h1->a1.h2<k>": {"score": 0.5, "in_graph": True},
        "a0.h1->m0": {"score": 0.1, "in_graph": True}, "a1.h2->logits": {"score": 0.75, "in_graph": True},
    },
}  # fmt: skip
GRAPHML = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="w" attr.name="weight" attr.type="double"/>
<graph edgedefault="directed"><node id="0.1"/><node id="1.2"/><node id="logits"/>
<edge id="k" source="0.1" target="1.2"><data key="w">0.5</data></edge></graph></graphml>"""


@pytest.mark.parametrize(("name", "content"), [("mib.json", MIB), ("gephi.graphml", GRAPHML.encode())])
def test_graphs_of_other_tools_are_shown_and_their_heads_verified(
    open_app: OpenApp, name: str, content: Any
) -> None:
    app = upload(run_until(open_app("circuit"), offered), name, content)
    app = run_until(app, roles_known)
    page = texts(app)
    assert not app.exception and not app.error and "of a model and a task it does not name." in page
    assert [option[:3] for option in app.selectbox("map_head").options[:2]] == ["0.1", "1.2"]
    if name == "mib.json":
        assert "2 heads, 1 MLP and 3 edges" in page and "is left out with its edges (1)" in page
        assert "heads alone, with every MLP live" in page
    app.button("verify_import").click().run()
    app = run_until(app, lambda app: "LD circuit ÷ LD model" in texts(app))
    assert "n = 4 fresh pairs, seed 1, mean ablation" in texts(app) and not app.exception


def test_a_file_without_heads_is_an_empty_circuit(open_app: OpenApp) -> None:
    app = upload(run_until(open_app("circuit"), offered), "none.json", {**FILE, "circuit": {"heads": [], "edges": []}})
    assert "An empty circuit" in texts(app) and "nothing to verify" in texts(app) and not app.exception


def test_names_carry_nothing_that_would_break_a_link() -> None:
    assert plain_name("a,b~c\x00 \n d") == "a b c d"
    assert plain_name("x" * 50) == "x" * 24 and plain_name("  ") == ""
