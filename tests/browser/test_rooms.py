"""Moving between the rooms: cold links, the menu, the back button, and what a first visit is told."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from pages.shared.rooms import ROOMS
from tests.browser.test_explorer import TOY

INTRODUCTION = "How this page works"


def test_every_page_opens_from_a_cold_link(page: Page, server: str) -> None:
    for room in ROOMS[1:]:
        page.goto(f"{server}{room.name.replace('_', '-')}{TOY}&seed=3")
        expect(page.get_by_role("heading", name=room.title, exact=True)).to_be_visible()
        expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("3")


def test_the_menu_keeps_the_view_and_back_goes_back(page: Page, server: str) -> None:
    page.goto(f"{server}{TOY}&seed=3")
    menu = page.locator(".st-key-rooms")
    menu.get_by_role("link", name="Pruning").click()
    page.wait_for_url("**/pruning?**seed=3**")
    menu.get_by_role("link", name="Circuit").click()
    page.wait_for_url("**/circuit?**seed=3**")
    page.go_back()
    expect(page.get_by_role("heading", name="Pruning", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Does the model do the task?")).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_value("3")


@pytest.mark.parametrize("button", ["Got it", "Hide on all pages"])
def test_an_introduction_can_be_dismissed_and_asked_for_again(page: Page, server: str, button: str) -> None:
    page.goto(f"{server}pruning{TOY}")
    steps = page.get_by_role("region", name=INTRODUCTION)
    expect(steps.get_by_role("listitem")).to_have_count(3)
    steps.get_by_role("button", name=button).click()
    expect(steps.get_by_role("listitem")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="Pruning", exact=True)).to_be_visible()
    expect(steps.get_by_role("listitem")).to_have_count(0)

    page.locator(".st-key-rooms").get_by_role("link", name="Circuit").click()
    page.wait_for_url("**/circuit?**")
    expect(steps.get_by_role("listitem")).to_have_count(3 if button == "Got it" else 0)
    page.get_by_role("button", name="Show introductions").click()
    expect(steps.get_by_role("listitem")).to_have_count(3)


def test_the_glossary_opens(page: Page, server: str) -> None:
    page.goto(f"{server}pruning{TOY}")
    page.get_by_role("button", name="Glossary").click()
    expect(page.locator(".hl-terms dt").filter(has_text="mean ablation")).to_be_visible()


def test_a_model_and_a_task_are_chosen_and_stay_chosen(page: Page, server: str) -> None:
    page.goto(f"{server}prompts{TOY}")
    for label, choice in (("Task", "Induction, names"), ("Task", "Induction, random words")):
        page.get_by_role("combobox", name=label).click()
        page.get_by_role("option", name=choice).click()
        expect(page.get_by_role("combobox", name=label)).to_have_value(choice)
    page.wait_for_url("**task=induction-random**")
    model = page.get_by_role("combobox", name="Model")
    model.fill("/no/such/folder")
    model.press("Enter")
    expect(page.get_by_text("/no/such/folder").last).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("answer preferred").first).to_be_visible()
