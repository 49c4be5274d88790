"""The search's choices as a person makes them: exact instead of screened, then a grid of thresholds."""

from __future__ import annotations

import csv

from playwright.sync_api import Page, expect

from tests.browser.downloads import downloaded
from tests.browser.layout import fits
from tests.browser.test_explorer import CHART, labels_of, open_ready


def test_exact_then_the_grid_from_choice_to_result(page: Page, server: str) -> None:
    open_ready(page, server, "&among=all")
    advanced = page.get_by_role("button", name="Advanced")
    advanced.click()
    page.locator(".st-key-view_mode").get_by_text("Exact", exact=True).click()
    expect(page.get_by_text("Every path is measured by running the patched model")).to_be_visible()
    page.wait_for_url("**mode=exact**")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Find the circuit").click()
    expect(page.get_by_text("Every path was patched exactly.")).to_be_visible()
    assert labels_of(page, "circuit") == ["0.1", "1.2"]

    advanced.click()
    page.locator(".st-key-view_grid").get_by_text("Try a grid of thresholds").click()
    expect(page.get_by_label("Scale s", exact=True)).to_be_disabled()
    page.wait_for_url("**grid=1**")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Below: the circuit found before")).to_be_visible()
    page.get_by_role("button", name="Find the circuit").click()
    taken = page.locator(".hl-grid td.taken")
    expect(taken).to_have_count(1)
    expect(taken).to_contain_text("taken")
    expect(page.locator(".hl-grid td")).to_have_count(16)

    expect(page.locator(".hl-job.running")).to_have_count(0)  # its end draws the page, and this button, anew
    page.get_by_text("The grid as a list, and downloads").click()
    download = downloaded(page, "Grid as CSV")
    rows = list(csv.DictReader(download.path().read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 16 and [row["taken"] for row in rows].count("True") == 1

    page.reload()  # the address holds both choices
    expect(taken).to_be_visible()
    expect(page.locator(CHART.format("circuit"))).to_be_visible()


def test_the_choices_and_the_grid_fit_on_a_phone(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_ready(page, server, "&grid=1")
    page.get_by_role("button", name="Advanced").click()
    panel = page.get_by_test_id("stPopoverBody")
    expect(panel).to_be_visible()
    box = panel.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Find the circuit").click()
    expect(page.locator(".hl-grid")).to_be_visible()
    table = page.locator(".hl-grid").bounding_box()
    assert table is not None and table["x"] >= 0 and table["x"] + table["width"] <= 390
    fits(page)
