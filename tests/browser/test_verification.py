"""The Verification room as a person uses it, on the toy model whose circuit is known: 0.1 → 1.2 → logits."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.layout import fits
from tests.browser.test_circuit import save
from tests.browser.test_explorer import CHART, TOY

LAST = "Every edge as a table, and downloads"


def test_a_circuit_is_found_judged_and_taken_away(page: Page, server: str, tmp_path: Path) -> None:
    page.goto(f"{server}verification{TOY}")
    page.get_by_role("button", name="Find the circuit").click()
    expect(page.get_by_text(LAST)).to_be_visible()
    for words in ("Its heads alone keep", "Complete.", "Better than chance.", "by its edges alone"):
        expect(page.get_by_text(words).first).to_be_visible()
    for chart in ("contributions_heads", "chance", "by_size", "contributions_edges"):
        expect(page.locator(CHART.format(chart))).to_be_visible()
    page.get_by_role("button", name="7 self-tests passed").click()
    expect(page.get_by_text("The attention of each query sums to 1.")).to_be_visible()
    page.keyboard.press("Escape")

    bar = page.locator(f"{CHART.format('contributions_heads')} .bars .point path").first  # the largest contribution
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**head=1.2**")
    page.get_by_text("Zero", exact=True).click()
    page.wait_for_url("**ablation=zero**")
    expect(page.get_by_text("seed 1, zero ablation").first).to_be_visible()
    page.reload()  # the address and the finished jobs hold all of it
    expect(page.get_by_text(LAST)).to_be_visible()
    expect(page.get_by_text("seed 1, zero ablation").first).to_be_visible()

    page.get_by_text("All numbers as a table, and downloads").click()
    rows = list(csv.DictReader(save(page, tmp_path, "Numbers as CSV").read_text(encoding="utf-8").splitlines()))
    assert {row["number"] for row in rows} >= {"faithfulness", "performance", "accuracy", "KL divergence", "CPR", "CMD"}
    record = json.loads(save(page, tmp_path, "Evaluation as JSON").read_text(encoding="utf-8"))
    assert record["ablation"] == "zero" and len(record["head_minimality"]["contributions"]) == 2

    page.set_viewport_size({"width": 390, "height": 844})
    fits(page)


def test_anyone_s_circuit_is_judged_from_its_file(page: Page, server: str, tmp_path: Path) -> None:
    page.goto(f"{server}circuit{TOY}")
    page.get_by_role("button", name="Find the circuit").click()
    expect(page.get_by_text("2 of 2 heads have a role")).to_be_visible()
    file = save(page, tmp_path, "Circuit as JSON")

    page.goto(f"{server}verification{TOY}&seed=5")
    page.get_by_role("button", name="A circuit from a file").click()
    page.locator(".st-key-verification_upload input[type=file]").set_input_files(file)
    page.wait_for_url("**subject=file**")
    expect(page.get_by_text("found on toy-induction for the task induction-random")).to_be_visible()
    expect(page.get_by_text("fresh pairs, seed 6, mean ablation").first).to_be_visible()
    expect(page.get_by_text(LAST)).to_be_visible()
