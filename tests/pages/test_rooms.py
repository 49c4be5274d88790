"""Every page opens from a cold link, and the links between them keep the view."""

from __future__ import annotations

import pytest

from pages.shared.rooms import ROOMS
from tests.pages.conftest import OpenApp, run_until, texts


@pytest.mark.parametrize("room", ROOMS[1:], ids=lambda room: room.name)
def test_a_cold_link_opens_the_page(open_app: OpenApp, room) -> None:
    app = run_until(open_app(room.name, pairs="5"), lambda app: f"<h2>{room.title}</h2>" in texts(app))
    assert not app.exception
    assert app.query_params["pairs"] == "5" and app.query_params["model"] == "toy-induction"


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_bad_link_is_told_and_the_page_goes_on(open_app: OpenApp, room) -> None:
    app = open_app(room.name, pairs="many", sparsity="<b>")
    assert [warning.value for warning in app.warning if "pairs" in warning.value]
    assert not app.exception
