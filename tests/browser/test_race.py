"""A race on the toy model as a person runs it, and the list of jobs beside every page."""

from __future__ import annotations

import csv
import json

from playwright.sync_api import Page, expect

from tests.browser.downloads import downloaded
from tests.browser.test_explorer import CHART, TOY, labels_of

MANY = "?model=toy-induction&task=induction-random&pairs=256"  # enough to be seen at work
JOBS = ".st-key-jobs_list"


def open_race(page: Page, server: str, params: str = TOY) -> None:
    page.goto(f"{server}race{params}")
    expect(page.get_by_role("button", name="Start the race")).to_be_visible()


def test_a_race_to_its_end_and_what_is_taken_away(page: Page, server: str) -> None:
    open_race(page, server)
    page.get_by_role("button", name="Start the race").click()
    expect(page.get_by_role("heading", name="Who was faster?")).to_be_visible()
    for lane in ("raced_app", "raced_dense"):
        expect(page.locator(CHART.format(lane))).to_be_visible()
        assert labels_of(page, lane) == ["0.1", "1.2"]
    expect(page.get_by_text("In both: 2 heads")).to_be_visible()

    page.get_by_text("edges as a table, and downloads").click()
    saved = {}
    for name in ("Comparison as JSON", "Costs as CSV"):
        download = downloaded(page, name)
        saved[name] = download.path().read_text(encoding="utf-8")
    assert json.loads(saved["Comparison as JSON"])["heads"]["in both"] == ["0.1", "1.2"]
    assert [row["stage"] for row in csv.DictReader(saved["Costs as CSV"].splitlines())][-1] == "whole run"

    page.reload()
    expect(page.get_by_text("In both: 2 heads")).to_be_visible()


def test_cancelling_one_lane_keeps_its_part_and_the_other_ends(page: Page, server: str) -> None:
    open_race(page, server, MANY)
    page.get_by_role("button", name="Start the race").click()
    page.locator(".st-key-lane_app").get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("No winner.")).to_be_visible()
    expect(page.get_by_text("not verified: cancelled")).to_have_count(1)
    expect(page.get_by_role("button", name="Run APP too")).to_be_visible()
    expect(page.locator(JOBS).get_by_text("its part is kept")).to_be_visible()
    expect(page.locator(JOBS).get_by_text("done in")).to_be_visible()


def test_two_tabs_that_ask_for_the_same_run_it_once(page: Page, server: str) -> None:
    open_race(page, server, MANY)
    other = page.context.new_page()
    open_race(other, server, MANY)
    for tab in (page, other):
        tab.get_by_role("button", name="Start the race").click()
    for tab in (page, other):
        expect(tab.get_by_role("heading", name="Who was faster?")).to_be_visible()
        expect(tab.locator(f"{JOBS} .hl-job")).to_have_count(2)  # nothing runs or waits any more
        expect(tab.locator(f"{JOBS} .hl-job.done")).to_have_count(2)
    bills = [tab.locator(".hl-table").first.inner_text() for tab in (page, other)]
    assert bills[0] == bills[1] and "whole run" in bills[0]  # one race: its seconds too are the same


def test_different_requests_wait_with_their_place_shown_and_can_be_cancelled_there(page: Page, server: str) -> None:
    open_race(page, server, MANY)
    page.get_by_role("button", name="Start the race").click()
    expect(page.locator(f"{JOBS} .hl-job.running")).to_have_count(2)
    seed = page.get_by_role("spinbutton", name="Seed")
    seed.fill("1")
    seed.press("Enter")
    waiting = page.locator(f"{JOBS} .hl-job.queued")
    page.get_by_role("button", name="Start the race").click()  # its prompts ran beside the race: they are short
    expect(waiting).to_have_count(2)
    expect(waiting.first).to_contain_text("waiting, place 3: 2 other jobs first")
    expect(page.get_by_text("Waiting: 2 other jobs first.").first).to_be_visible()
    page.locator(JOBS).get_by_role("button", name="Cancel").nth(1).click()
    expect(waiting.first).to_contain_text("waiting, place 2: 1 other job first")

    page.locator(JOBS).get_by_role("link", name="Open").first.click()
    page.wait_for_url("**seed=0**")
    expect(page.get_by_role("heading", name="Does the model do the task?")).to_be_visible()
