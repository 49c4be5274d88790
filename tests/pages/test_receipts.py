"""Receipts on the Verification page, for heads and edges of the circuit and for others."""

from __future__ import annotations

from typing import Any

import pytest

from engine.ablation import Ablation
from engine.circuit import Circuit
from engine.heads import Head
from engine.progress import Watcher
from engine.settings import Settings
from engine.trust.draws import Kind
from engine.trust.receipt import receipts
from pages.shared import verification_jobs, work
from pages.shared.view import View
from pages.verification.receipt_card import MEANS, card
from tests.pages.conftest import OpenApp, has_button, run_until, texts
from tests.pages.test_trust import FEW, cache, found, offered  # noqa: F401 - an autouse fixture


def test_a_receipt_for_a_head_of_the_link_then_for_an_edge(open_app: OpenApp) -> None:
    app = found(open_app, head="1.2", edge="0.1-1.2.k", receipt_of="head")
    assert app.selectbox("receipt_head").value == "1.2"
    app.button("start_receipt").click().run()
    run_until(app, lambda app: "hl-receipt" in texts(app))
    page = texts(app)
    assert 'class="hl-receipt yes"' in page and "<b>Confirmed</b>" in page and "n = 4 fresh pairs, seed 1" in page
    assert "mean ablation of it alone" in page and "receipts of this circuit" not in page
    next(group for group in app.button_group if group.key == "view_receipt_of").set_value("edge").run()
    assert app.selectbox("receipt_edge").value == "0.1-1.2.k" and "exact path patching" in texts(app)
    app.button("start_receipt").click().run()
    run_until(app, lambda app: "All 2 receipts of this circuit" in texts(app))
    rows = next(frame.value for frame in app.dataframe if "verdict" in frame.value)
    assert list(rows["of"]) == ["0.1 → 1.2.k", "1.2"] and list(rows["verdict"]) == ["confirmed"] * 2
    assert not app.exception and not app.error
    again = run_until(open_app("verification", **FEW), lambda app: "All 2 receipts" in texts(app))
    assert again.selectbox("receipt_head").value is None


def test_heads_and_edges_outside_the_circuit_and_outside_the_model(open_app: OpenApp) -> None:
    app = found(open_app, edge="0.0-1.3.v")
    assert app.selectbox("receipt_edge").value == "0.0-1.3.v"  # an edge alone asks for an edge
    app.button("start_receipt").click().run()
    run_until(app, lambda app: "hl-receipt" in texts(app))
    assert MEANS[next(v for v, matters in MEANS if v == "confirmed" and not matters), False] in texts(app)
    beyond = found(open_app, edge="1.0-0.3.v", receipt_of="edge")
    assert "This model has no edge 1.0-0.3.v" in texts(beyond) and not has_button("start_receipt")(beyond)
    beyond = found(open_app, head="9.9")
    assert "There is no head 9.9 in this model." in texts(beyond) and not beyond.exception


def test_cards_lead_to_a_receipt(open_app: OpenApp) -> None:
    app = run_until(open_app("circuit", head="1.2", edge="0.1-1.2.k"), offered)
    app.button("start_search").click().run()
    run_until(app, lambda app: any(box.key == "map_head" for box in app.selectbox))
    links = [link.proto for link in app.get("page_link") if link.proto.label == "Get a receipt"]
    asked = sorted(link.query_string for link in links)
    assert len(asked) == 2 and "receipt_of=edge" in asked[0] and "receipt_of=head" in asked[1]
    assert "edge=0.1-1.2.k" in asked[0] and "head=1.2" in asked[1]


def test_a_receipt_is_the_same_however_the_circuit_was_found(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "receipt", lambda *arguments: None)
    circuit = Circuit((Head(1, 2),), (), 2, 12)

    def job(**choices: Any) -> object:
        settings = View(model="toy-induction", task="induction-random", pairs=4, **choices).settings()
        return verification_jobs.start_receipt(settings, circuit, Head(1, 2), Ablation.MEAN, 1)

    assert job() is job(mode="exact") is job(among="all") and job() is not job(min_effect=0.05)


def test_a_card_says_all_there_is_and_all_that_is_missing(toy_model: Any) -> None:
    from engine.prepare import prepare

    prepared = prepare(toy_model, Settings(model="toy-induction", task="induction-random", pairs=1), Watcher())
    one = receipts(prepared, Circuit((Head(1, 2),), (), 2, 12), [Head(1, 2)], Watcher())
    html = card(one.receipts[0], one)
    assert "Inside noise" in html and 'class="hl-receipt wait"' in html and "one pair has no interval" in html
    assert 'class="span"' not in html and html.count('class="dot"') == 2
    assert len(MEANS) == 6 and {kind.name.lower() for kind in Kind} == {"resample", "seed", "template"}
