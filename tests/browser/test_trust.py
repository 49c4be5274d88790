"""From a circuit to how far it can be trusted: keys, stability on the graph, receipts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.layout import fits
from tests.browser.test_explorer import CHART, TOY, click_point


@pytest.fixture
def room(page: Page, server: str) -> Page:
    """The page after a search, with everything that starts by itself done."""
    page.goto(f"{server}verification{TOY}&resamples=2&seeds=1&templates=0")
    page.get_by_role("button", name="Find the circuit").click()
    expect(page.get_by_role("button", name="Find it again")).to_be_visible()
    expect(page.get_by_text("none running")).to_be_visible()
    return page


def test_a_circuit_is_found_again_shown_on_the_graph_and_gets_a_receipt(room: Page) -> None:
    expect(room.locator(".hl-agree tbody tr")).to_have_text(re.compile("by construction.*100 %.*names heads alone"))
    for key in ("recall", "roc", "correlations"):
        expect(room.locator(CHART.format(key))).to_be_visible()

    room.get_by_role("button", name="Find it again").click()
    expect(room.get_by_text("2 of its 2 heads came back in at least 90 % of 3 runs.")).to_be_visible()
    click_point(room, "frequency_map", "heads", 14)  # of 12 a layer: 1.2
    room.wait_for_url("**head=1.2**")
    expect(room.get_by_role("combobox", name="Head", exact=True)).to_have_value("1.2")
    room.get_by_role("button", name="Get a receipt").click()
    card = room.locator(".hl-receipt")
    expect(card).to_contain_text(re.compile("Confirmed.*head 1.2.*control 1.*n = 8 fresh pairs, seed 1", re.S))
    room.reload()
    expect(card).to_contain_text("Confirmed")

    room.set_viewport_size({"width": 390, "height": 844})
    expect(card).to_be_visible()
    fits(room)
    room.set_viewport_size({"width": 1440, "height": 1000})

    room.get_by_role("link", name="Only what half of the runs found").click()
    room.wait_for_url("**present=0.5**")
    expect(room.get_by_text("Opacity: the share of 3 runs on other prompts")).to_be_visible()
    legend = room.locator(f"{CHART.format('circuit_map')} .legendtext")
    expect(legend.filter(has_text="found in all of 3 runs")).to_be_visible()
    click_point(room, "circuit_map", "edge targets", 0)
    room.wait_for_url("**edge=**")
    room.locator(".st-key-circuit_map").scroll_into_view_if_needed()
    room.get_by_role("link", name="Get a receipt").first.click()
    room.wait_for_url("**receipt_of=edge**")
    expect(room.get_by_role("combobox", name="Edge")).to_have_value(re.compile("→"))
    room.get_by_role("button", name="Get a receipt").click()
    expect(room.get_by_role("heading", name="All 2 receipts of this circuit")).to_be_visible()
    expect(room.locator(CHART.format("receipts"))).to_be_visible()
