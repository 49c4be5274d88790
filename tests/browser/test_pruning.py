"""From the nine unions to a search inside another one, on the toy model."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.test_explorer import CHART, TOY, click_point, labels_of


def test_another_union_is_taken_searched_in_and_given_back(page: Page, server: str) -> None:
    page.goto(f"{server}pruning{TOY}")
    expect(page.get_by_text("Chosen automatically")).to_be_visible()
    expect(page.locator(".hl-grid td")).to_have_count(9)
    expect(page.locator(".st-key-panel_curve")).to_have_count(0)
    expect(page.locator(CHART.format("unions"))).to_be_visible()

    click_point(page, "unions", "union another one beats", 0)
    page.wait_for_url("**union=**")
    expect(page.get_by_text("Chosen by you")).to_be_visible()
    name = page.evaluate("() => new URL(location).searchParams.get('union')")
    assert "+" in name

    page.get_by_role("link", name="Find the circuit with this union").click()
    told = page.locator(".st-key-union_choice")
    expect(told).to_contain_text(f"Union chosen by you: {name.replace('+', ' + ')}")
    page.get_by_role("button", name="Find the circuit").click()
    expect(page.locator(CHART.format("circuit"))).to_be_visible()
    assert labels_of(page, "circuit") == ["0.1", "1.2"]

    told.get_by_role("button", name="Back to automatic").click()
    expect(told.get_by_text("Union chosen by you")).to_have_count(0)
    page.wait_for_url(lambda url: "union=" not in url)


def test_a_click_on_a_curve_moves_the_sparsity(page: Page, server: str) -> None:
    page.goto(f"{server}pruning{TOY}")
    expect(page.locator(CHART.format("curves"))).to_be_visible()
    expect(page.locator(".st-key-panel_curve")).to_have_count(0)
    click_point(page, "curves", "FLAP", 40)
    page.wait_for_url("**sparsity=0.4**")
    expect(page.get_by_text("at sparsity 0.40").first).to_be_visible()
