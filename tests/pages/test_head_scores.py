"""The page of head scores in each of its states."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import HeadlightError
from engine.progress import Watcher
from pages.head_scores.head_list import chosen, found
from pages.shared import glances, work
from pages.shared.view import View
from tests.pages.conftest import OpenApp, has_button, run_until, texts


def ready(app: AppTest) -> bool:
    return "shown" in texts(app) and "of 24 heads" in texts(app)


def open_ready(open_app: OpenApp, **params: str) -> AppTest:
    return run_until(open_app("head_scores", **params), ready)


def listed(app: AppTest) -> list[str]:
    (frame,) = [frame.value for frame in app.dataframe if "kept by" in frame.value.columns]
    return list(frame["head"])


def hold(monkeypatch: pytest.MonkeyPatch, name: str) -> threading.Event:
    """Make a kind of work wait for a cancel, or for the event."""
    gate = threading.Event()

    def slow(*arguments: Any) -> None:
        watcher: Watcher = arguments[-1]
        while not gate.wait(0.01):
            watcher.step("made to wait", 1, 4)
        raise HeadlightError("gate opened")

    monkeypatch.setattr(work, name, slow)
    return gate


def test_while_the_model_loads_nothing_else_is_drawn(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = hold(monkeypatch, "prepare_anew")
    app = run_until(open_app("head_scores"), lambda app: "Made to wait" in texts(app))
    assert "<h2>Head scores</h2>" in texts(app) and "Layer by head" not in texts(app)
    app.button("cancel_ready").click().run()
    app = run_until(app, has_button("again_ready"))
    assert "Cancelled." in texts(app) and not app.exception
    gate.set()


def test_a_model_that_is_not_there_is_said_so(open_app: OpenApp) -> None:
    app = run_until(open_app("head_scores", model="/no/such/folder"), has_button("again_ready"))
    assert "/no/such/folder" in app.error[0].value and not app.exception


def test_ready_shows_maps_ranks_the_list_and_an_empty_card(open_app: OpenApp) -> None:
    app = open_ready(open_app)
    page = texts(app)
    for words in ("Layer by head", "Ranks against each other", "over all n = 24 heads, on 4 prompt pairs",
                  "24 of 24 heads shown", "No head selected"):  # fmt: skip
        assert words in page
    assert listed(app)[:2] == ["1.2", "0.1"] and not app.exception and not app.error


def test_one_large_map_has_a_choice_of_scores(open_app: OpenApp) -> None:
    app = open_ready(open_app)
    assert not [group for group in app.button_group if group.key == "view_score"]
    next(group for group in app.button_group if group.key == "view_maps").set_value("one").run()
    next(group for group in app.button_group if group.key == "view_score").set_value("difference").run()
    assert (app.query_params["maps"], app.query_params["score"]) == ("one", "difference") and not app.exception
    for name, value in (("versus", "score"), ("colour", "layer")):
        next(group for group in app.button_group if group.key == f"view_{name}").set_value(value).run()
        assert app.query_params[name] == value and not app.exception


def test_the_list_is_searched_filtered_ordered_and_cut_and_the_link_says_how(open_app: OpenApp) -> None:
    app = open_ready(open_app)
    app.text_input("view_find").set_value("1.").run()
    assert len(listed(app)) == 12 and {name[0] for name in listed(app)} == {"1"} and app.query_params["find"] == "1."
    app.number_input("view_top").set_value(3).run()
    assert len(listed(app)) == 3 and listed(app)[0] == "1.2"
    assert "3 of 24 heads shown, the first 3 by c-flap rank" in texts(app)
    app.button("all_heads").click().run()
    assert len(listed(app)) == 24 and "find" not in app.query_params
    again = open_ready(open_app, find="0.1", layers="0-0", kept_by="both,FLAP", order="layer")
    assert listed(again) == ["0.1"]
    none = run_until(open_app("head_scores", find="7.7"), lambda app: "No head like that" in texts(app))
    assert not none.exception


def test_a_link_with_more_than_there_is_shows_what_there_is(open_app: OpenApp) -> None:
    app = open_ready(open_app, top="9999", layers="0-50")
    assert len(listed(app)) == 24 and not app.exception


@pytest.mark.parametrize(
    ("text", "heads"),
    [("", "9.6 9.10 6.9"), ("9.6", "9.6"), ("9.", "9.6 9.10"), ("9", "9.6 9.10"), (".9", "6.9"), ("9.1", ""),
     (" L9 ", "9.6 9.10"), ("<b>", "")],
)  # fmt: skip
def test_a_search_finds_heads_layers_and_places(text: str, heads: str) -> None:
    assert [name for name in ("9.6", "9.10", "6.9") if found(name, text)] == heads.split()


def test_the_order_by_difference_goes_by_its_size() -> None:
    rows: list[Any] = [
        {"head": f"0.{i}", "layer": 0, "rank difference": apart, "kept by": "both", "FLAP rank": 3 - i}
        for i, apart in enumerate((1.0, -9.0, 4.0))
    ]
    names = [row["head"] for row in chosen(rows, View(order="difference"))]
    assert names == ["0.1", "0.2", "0.0"]
    assert [row["head"] for row in chosen(rows, View(order="flap", top=1))] == ["0.2"]
    assert chosen(rows, View(kept_by=("neither",))) == [] and chosen(rows, View(layers="1-3")) == []


def card_complete(app: AppTest) -> bool:
    return all(words in texts(app) for words in ("Raises most", "Rows look", "first cliff"))


def test_the_card_has_scores_reasons_neighbours_attention_and_tokens(open_app: OpenApp) -> None:
    app = run_until(open_app("head_scores", head="1.2"), card_complete)
    page = texts(app)
    for words in ("C-FLAP rank", "In the automatic union.", "admits it", "from the threshold", "dropped at sparsity",
                  "Known once a circuit has been searched for."):  # fmt: skip
        assert words in page
    assert app.button("card_previous").disabled  # the highest score
    assert "head=1.2" in app.code[0].value and app.code[0].value.endswith("#head-card")
    app.button("card_next").click().run()
    assert app.query_params["head"] == "0.1" and not app.button("card_previous").disabled and not app.exception


def test_what_a_slow_look_shows_comes_later_and_the_page_does_not_wait(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, pattern = threading.Event(), glances.background.glance
    monkeypatch.setattr(glances, "PATIENCE", 0.01)

    def slow(settings: Any, what: Any, see: Any) -> Any:
        return pattern(settings, what, lambda known: (gate.wait(60), see(known))[1])

    monkeypatch.setattr(glances.background, "glance", slow)
    app = run_until(open_app("head_scores", head="1.2"), lambda app: "Reading its attention" in texts(app))
    assert "24 of 24 heads shown" in texts(app) and "Raises most" not in texts(app)
    gate.set()
    run_until(app, card_complete)


def test_curves_that_fail_or_are_cancelled_leave_the_page_alive(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = hold(monkeypatch, "curve")
    app = run_until(open_app("head_scores", head="1.2"), has_button("cancel_curve"))
    assert "Among the kept heads of either score." in texts(app)
    app.button("cancel_curve").click().run()
    app = run_until(app, has_button("again_curve"))
    assert "24 of 24 heads shown" in texts(app)
    gate.set()
    app.button("again_curve").click().run()
    app = run_until(app, lambda app: bool(app.error))
    assert "gate opened" in app.error[0].value and "Layer by head" in texts(app) and not app.exception
