"""Two runs compared as a person does it, on the toy model: with pruning against without."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.browser.downloads import downloaded
from tests.browser.test_explorer import CHART, TOY, click_point


def test_a_run_inside_the_union_against_a_dense_one(page: Page, server: str) -> None:
    page.goto(f"{server}compare{TOY}")
    page.get_by_role("button", name="Find the circuit of").click()
    expect(page.get_by_text("One run so far")).to_be_visible()
    page.get_by_role("button", name="Search the same among all heads").click()
    expect(page.locator(CHART.format("compare_graph"))).to_be_visible()
    expect(page.get_by_role("row", name="method app dense")).to_be_visible()
    expect(page.get_by_text("In both: 2")).to_be_visible()

    page.get_by_role("button", name="Swap").click()
    page.wait_for_url("**left=*right=*")
    expect(page.get_by_role("combobox", name="Left run")).to_have_value(
        "Toy induction model · Induction, random words · 8 pairs · all heads"
    )
    click_point(page, "compare_graph", "both: 2", 1)
    page.wait_for_url("**head=1.2**")
    expect(page.get_by_role("heading", name="Where it looks")).to_be_visible()
    page.reload()
    expect(page.get_by_role("combobox", name="Left run")).to_have_value(
        "Toy induction model · Induction, random words · 8 pairs · all heads"
    )


def test_a_run_saved_in_the_explorer_is_compared_from_its_file(page: Page, server: str) -> None:
    page.goto(f"{server}{TOY}&among=all")
    page.get_by_role("button", name="Find the circuit").click()
    page.get_by_text("edges as a table, and downloads").click()
    download = downloaded(page, "Whole run as JSON")
    record = json.loads(download.path().read_text("utf-8"))
    record["settings"]["seed"] = 77  # as if it came from elsewhere
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_text("One run so far")).to_be_visible()
    page.locator("input[type=file]").set_input_files(
        [{"name": "other.json", "mimeType": "application/json", "buffer": json.dumps(record).encode()},
         {"name": "photo.json", "mimeType": "application/json", "buffer": b"\x89PNG\r\n\x1a\n\xff"}]
    )  # fmt: skip
    expect(page.locator(CHART.format("compare_graph"))).to_be_visible()
    page.get_by_text("Get another run to compare with").click()
    expect(page.get_by_text("photo.json: This is a PNG picture")).to_be_visible()
    expect(page.get_by_role("row", name="seed 0 77")).to_be_visible()


def test_every_search_algorithm_on_one_task_is_run_and_compared(page: Page, server: str) -> None:
    page.goto(f"{server}compare{TOY}")
    page.get_by_role("radio", name="Search algorithms").click()
    page.wait_for_url("**comparing=searches**")
    page.get_by_role("button", name="Run all 5 that are missing").click()
    expect(page.locator(CHART.format("contest_scatter"))).to_be_visible()
    expect(page.get_by_role("link", name="Beside dense")).to_have_count(4)
    expect(page.locator(".st-key-contest_table").get_by_role("link", name="Verification")).to_have_count(5)
    expect(page.get_by_text("Least work")).to_be_visible()
    page.get_by_text("All numbers as a table, and downloads").click()
    download = downloaded(page, "Table as CSV")
    lines = download.path().read_text("utf-8").splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == ["APP", "Dense path patching", "ACDC", "EAP", "EAP-IG"]

    page.reload()
    expect(page.get_by_role("link", name="Beside dense")).to_have_count(4)
    page.get_by_role("link", name="Beside dense").nth(1).click()
    page.wait_for_url("**left=*right=*")
    expect(page.get_by_role("row", name="algorithm path patching acdc")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="Beside dense")).to_have_count(4)
    page.locator(".st-key-contest_table").get_by_role("link", name="Circuit").nth(2).click()
    page.wait_for_url("**/circuit?*algorithm=acdc*")
    expect(page.get_by_text("ACDC’s tolerance")).to_be_visible()
