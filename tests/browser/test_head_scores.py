"""The page of head scores as a person uses it, on the toy model."""

from __future__ import annotations

import csv

from playwright.sync_api import Page, expect

from tests.browser.downloads import downloaded
from tests.browser.layout import fits
from tests.browser.test_explorer import CHART, TOY, click_point

SELECTED = """([key]) => {
    const chart = document.querySelector(`.st-key-${key} .js-plotly-plot`);
    const mark = chart?._fullData?.find((each) => each.name === "selected");
    return [...(mark?.x ?? []), ...(mark?.y ?? [])].join();
}"""


def test_a_head_is_found_on_the_map_in_the_list_and_on_its_card(page: Page, server: str) -> None:
    page.goto(f"{server}head-scores{TOY}")
    for name in ("map_flap", "map_contrastive_flap", "agreement"):
        expect(page.locator(CHART.format(name))).to_be_visible()
    click_point(page, "map_flap", "heads", 12 + 2)  # layer 1, head 2
    page.wait_for_url("**head=1.2**")
    card = page.get_by_role("combobox", name="Head", exact=True)
    expect(card).to_have_value("1.2")
    for name in ("map_flap", "map_contrastive_flap"):
        page.wait_for_function(f"({SELECTED})(['{name}']) === '2,1'")
    expect(page.get_by_text("Raises most")).to_be_visible()
    expect(page.locator(CHART.format("attention_corrupted"))).to_be_visible()

    page.get_by_role("button", name="Next head").click()
    page.wait_for_url("**head=0.1**")
    expect(card).to_have_value("0.1")
    page.wait_for_function(f"({SELECTED})(['map_flap']) === '1,0'")

    search = page.get_by_role("textbox", name="Search")
    search.fill("1.")
    search.press("Enter")
    expect(page.get_by_text("12 of 24 heads shown")).to_be_visible()
    download = downloaded(page, "These heads as CSV")
    rows = list(csv.DictReader(download.path().read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 12 and {row["layer"] for row in rows} == {"1"} and rows[0]["head"] == "1.2"

    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    table.click(position={"x": 16, "y": 35 + 17})  # the box before the first row
    page.wait_for_url("**head=1.2**")
    expect(card).to_have_value("1.2")


def test_the_maps_stack_on_a_phone_and_nothing_scrolls_sideways(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server}head-scores{TOY}")
    boxes = []
    for name in ("map_flap", "map_contrastive_flap"):
        expect(page.locator(CHART.format(name))).to_be_visible()
        boxes.append(page.locator(CHART.format(name)).bounding_box())
    assert boxes[0] is not None and boxes[1] is not None and boxes[1]["y"] > boxes[0]["y"] + boxes[0]["height"] - 1
    assert all(box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    fits(page)
