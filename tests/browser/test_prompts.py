"""The Prompts page as a person uses it: pairs, and rows of one's own from errors to use."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.downloads import downloaded
from tests.browser.layout import fits

PROMPTS = "prompts?model=toy-induction&task=induction-random&pairs=12"
ROWS = """clean,corrupted,answer,distractor
 coat bag river coat, coat key river coat,bag,key
 lake door farm lake, lake bone farm lake,door,bone
 dog cow river dog , dog bag river dog ,cow,bag
 apple key lake apple, apple key lake apple,key,dog
"""


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the server starts: its own tasks are nobody else's."""
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))


def test_rows_with_errors_are_repaired_by_click_and_used_in_the_explorer(page: Page, server: str) -> None:
    page.goto(f"{server}{PROMPTS}&own=1")
    page.get_by_role("textbox", name="Rows as CSV or JSONL").fill(ROWS)
    page.get_by_role("button", name="Read these rows").click()
    expect(page.get_by_text("2 of 4 rows cannot be used yet.")).to_be_visible()
    expect(page.get_by_text("The prompt ends in a space").first).to_be_visible()
    expect(page.get_by_role("button", name="Use this task")).to_be_disabled()

    page.get_by_role("button", name="Remove the space at the end").click()
    expect(page.get_by_text("1 of 4 rows cannot be used yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Drop the row", exact=True)).to_have_count(1)
    page.get_by_role("button", name="Drop the row", exact=True).click()
    expect(page.get_by_text("All 3 rows can be used.")).to_be_visible()
    page.get_by_role("textbox", name="Title").fill("My animals")
    page.get_by_role("textbox", name="Title").press("Enter")
    page.get_by_role("button", name="Use this task").click()
    page.wait_for_url("**task=own-**")
    page.get_by_role("link", name="See it in the Explorer").click()

    expect(page.get_by_role("heading", name="Does the model do the task?")).to_be_visible()
    expect(page.get_by_role("button", name="Find the circuit")).to_be_visible()
    expect(page.get_by_role("combobox", name="Task")).to_have_value("My animals")
    expect(page.get_by_text("all 3 rows are used")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Find the circuit")).to_be_visible()
    expect(page.get_by_role("combobox", name="Task")).to_have_value("My animals")


def test_a_cell_still_open_when_a_repair_is_clicked_is_kept(page: Page, server: str) -> None:
    page.goto(f"{server}{PROMPTS}&own=1")
    page.get_by_role("textbox", name="Rows as CSV or JSONL").fill(ROWS)
    page.get_by_role("button", name="Read these rows").click()
    expect(page.get_by_text("2 of 4 rows cannot be used yet.")).to_be_visible()
    page.get_by_text("all", exact=True).click()
    first = page.get_by_role("group", name="Row 1", exact=True)
    expect(first).to_contain_text("key")

    open_cell(page)
    page.keyboard.press("Control+a")
    page.keyboard.type("farm")
    page.get_by_role("button", name="Remove the space at the end").click()
    expect(page.get_by_text("1 of 4 rows cannot be used yet.")).to_be_visible()
    expect(first).to_contain_text("farm")
    for wanted, count in (("farm", "2 of 4"), ("key", "2 of 4")):  # the repair undone, then the edit
        page.get_by_role("button", name="Undo", exact=True).click()
        expect(page.get_by_text(f"{count} rows cannot be used yet.")).to_be_visible()
        expect(first).to_contain_text(wanted)
    expect(first).not_to_contain_text("farm")


def open_cell(page: Page) -> None:
    """Open the distractor of the first row; a grid that is still being drawn takes no clicks, so try again."""
    grid = page.get_by_test_id("stDataFrame").locator("canvas").first
    for _ in range(20):
        grid.evaluate("element => element.scrollIntoView({ block: 'center' })")
        box = grid.bounding_box()
        assert box is not None
        page.mouse.dblclick(box["x"] + box["width"] - 40, box["y"] + 52)
        page.wait_for_timeout(1000)
        if page.locator("textarea.gdg-input").count():
            return
    raise AssertionError("the cell never opened")


def test_an_image_named_csv_is_refused_in_words(page: Page, server: str, tmp_path: Path) -> None:
    image = tmp_path / "rows.csv"
    image.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    page.goto(f"{server}{PROMPTS}&own=1")
    page.get_by_role("tab", name="Upload a file").click()
    page.locator("input[type=file]").set_input_files(image)
    expect(page.get_by_text("The file is not UTF-8 text")).to_be_visible()
    page.get_by_role("tab", name="Copy the present task").click()
    page.get_by_role("button", name="Copy its 12 pairs").click()
    expect(page.get_by_text("All 12 rows can be used.")).to_be_visible()
    expect(page.get_by_text("The file is not UTF-8 text")).to_have_count(0)


def test_pairs_are_paged_filtered_and_taken_away(page: Page, server: str) -> None:
    page.goto(f"{server}{PROMPTS}")
    cards = page.locator(".hl-pair.hl-wide")
    expect(cards).to_have_count(10)
    tops = page.evaluate(
        """() => [...document.querySelectorAll(".hl-wide .columns > span")].map((column) => {
            const [clean, corrupted] = [...column.children].map((chip) => chip.getBoundingClientRect());
            return Math.abs(clean.left - corrupted.left) + Math.abs(clean.width - corrupted.width);
        })"""
    )
    assert len(tops) > 100 and max(tops) < 1  # each token stands exactly above its counterpart
    page.get_by_role("button", name="Page 2").click()
    page.wait_for_url("**pair_page=2**")
    expect(cards).to_have_count(2)
    page.get_by_text("All 12 pairs as a table, and downloads").click()
    download = downloaded(page, "Pairs as CSV")
    rows = list(csv.DictReader(download.path().read_text("utf-8").splitlines()))
    assert len(rows) == 12 and all(0 <= float(row["p(answer), clean"]) <= 1 for row in rows)
    fits(page)
