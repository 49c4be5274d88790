"""A run over its whole life, as a person sees it: found, found after a restart, named, tagged, deleted, passed on."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.app_server import running_app
from tests.browser.test_explorer import CHART, TOY

pytestmark = pytest.mark.slow


def test_a_run_outlives_its_server_and_travels_as_a_capsule(page: Page, tmp_path: Path) -> None:
    with running_app(tmp_path / "first.log") as server:
        page.goto(f"{server}{TOY}&among=all")
        page.get_by_role("button", name="Find the circuit").click()
        expect(page.get_by_text("Kept on this machine")).to_be_visible()
        page.goto("about:blank")  # before the server goes
    with running_app(tmp_path / "second.log") as server:
        page.goto(f"{server}circuit{TOY}&among=all")
        expect(page.locator(CHART.format("circuit_map"))).to_be_visible()  # without a search
        page.locator(".st-key-rooms").get_by_role("link", name="Runs").click()
        expect(page.get_by_text("1 of 1 run shown")).to_be_visible()
        _select_first_row(page)
        _name_tag_delete_and_undo(page)
        capsule = _open_and_take_away(page, tmp_path)
        _bring_and_compare(page, capsule)
        page.goto("about:blank")
    for log in ("first.log", "second.log"):
        assert "Traceback" not in (tmp_path / log).read_text()


def _select_first_row(page: Page) -> None:
    click_in_table(page, 18, 52)
    page.wait_for_url("**picked=**")


def click_in_table(page: Page, x: float, y: float) -> None:
    """A table is one picture, whose parts only a mouse can reach."""
    table = page.locator(".stDataFrame canvas").first
    expect(table).to_be_visible()
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + x, box["y"] + y)


def _name_tag_delete_and_undo(page: Page) -> None:
    panel = page.locator(".st-key-picked_runs")
    panel.get_by_role("textbox", name="Name").fill("For the class")
    panel.get_by_role("textbox", name="Name").press("Enter")
    tags = panel.get_by_role("combobox", name="Tags")
    tags.fill("mine")  # at once, while the page is drawn for the name: neither may be lost
    tags.press("Enter")
    expect(panel.locator(".stMultiSelect").get_by_text("mine", exact=True).first).to_be_visible()
    tags.press("Escape")  # its list stays open for more, and hides the rest of the page from whoever asks by role
    expect(page.locator(".st-key-run_filters").get_by_text("Tag", exact=True)).to_be_visible()
    expect(panel.get_by_text("For the class", exact=True)).to_be_visible()
    panel.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No run is kept yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 of 1 run shown")).to_be_visible()


def _open_and_take_away(page: Page, tmp_path: Path) -> Path:
    _select_first_row(page)
    page.locator(".st-key-picked_runs").get_by_role("link", name="Open", exact=True).click()
    expect(page.get_by_role("heading", name="For the class")).to_be_visible()
    for chart in ("opened_graph", "opened_scores", "opened_effects"):
        expect(page.locator(CHART.format(chart))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Capsule (.headlight)").click()
    assert download.value.suggested_filename == "for-the-class.headlight"
    path = tmp_path / "run.headlight"
    download.value.save_as(path)
    return path


def _bring_and_compare(page: Page, capsule: Path) -> None:
    page.get_by_role("link", name="All runs").click()
    expect(page.get_by_role("heading", name="Open a run from a file")).to_be_visible()
    page.locator("input[type=file]").set_input_files(capsule)
    expect(page.get_by_text("It is open in this tab alone")).to_be_visible()
    page.get_by_role("button", name="Keep in my runs").click()
    expect(page.get_by_text("It is open in this tab alone")).to_have_count(0)
    expect(page.locator(CHART.format("opened_graph"))).to_be_visible()
    page.get_by_role("link", name="All runs").click()
    expect(page.get_by_text("2 of 2 runs shown")).to_be_visible()
    click_in_table(page, 18, 18)  # the box above all rows
    page.get_by_role("link", name="Compare the two").click()
    expect(page.get_by_role("heading", name="Digit by digit")).to_be_visible()
    expect(page.get_by_text("Both runs found the same, to the last digit.")).to_be_visible()
