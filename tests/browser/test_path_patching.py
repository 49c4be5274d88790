"""Stepping through a search as a person does, on the toy model."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.layout import fits
from tests.browser.test_explorer import CHART, click_point

LAX = "model=toy-induction&task=induction-random&pairs=8&among=all&threshold_scale=0.5&min_effect=0.001"


def at_step(page: Page, number: int) -> None:
    """The step is shown in words and, once it plays no more, stands in the address."""
    expect(page.get_by_text(f"Step {number} of 4:")).to_be_visible()


def search(page: Page, server: str) -> None:
    page.goto(f"{server}path-patching?{LAX}")
    page.get_by_role("button", name="Find the circuit").click()
    at_step(page, 1)
    expect(page.locator(CHART.format("step_graph"))).to_be_visible()


def test_play_pause_back_jump_link_and_the_browsers_back_button(page: Page, server: str) -> None:
    search(page, server)
    page.evaluate("key => { document.querySelector(key).sameElement = true; }", CHART.format("step_graph"))
    page.get_by_text("fast", exact=True).click()
    page.get_by_role("button", name="Play").click()
    for number in (2, 3, 4):
        at_step(page, number)
    page.wait_for_url("**step=4**")  # the end: it stops by itself and says where
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert page.evaluate("key => document.querySelector(key).sameElement", CHART.format("step_graph"))

    page.get_by_role("button", name="Back").click()
    page.wait_for_url("**step=3**")
    at_step(page, 3)
    page.keyboard.press("j")
    page.wait_for_url("**step=2**")
    page.go_back()
    at_step(page, 3)
    page.reload()
    at_step(page, 3)
    expect(page.locator(CHART.format("step_map"))).to_be_visible()

    page.get_by_text("slow", exact=True).click()
    page.get_by_role("button", name="First").click()
    at_step(page, 1)
    page.get_by_role("button", name="Play").click()
    at_step(page, 2)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_url("**step=2**")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_sender_clicked_opens_its_card_and_an_edge_its_step(page: Page, server: str) -> None:
    search(page, server)
    page.get_by_role("button", name="Last").click()
    page.wait_for_url("**step=4**")
    at_step(page, 4)
    names = "key => [...document.querySelector(key)._fullData.find((each) => each.name === 'edge targets').customdata]"
    page.wait_for_function(f"key => ({names})(key).length === 4", arg=CHART.format("step_graph"))
    edges = page.evaluate(names, CHART.format("step_graph"))
    number = next(number for number, (_, receiver, _) in enumerate(edges) if receiver == "logits")
    click_point(page, "step_graph", "edge targets", number)
    at_step(page, 1)
    click_point(page, "step_map", "heads", 12 + 2)  # layer 1, head 2
    page.wait_for_url("**head=1.2**")
    expect(page.get_by_role("heading", name="Where it looks")).to_be_visible()


def test_a_phone_shows_a_step_without_scrolling_sideways(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    search(page, server)
    fits(page)
