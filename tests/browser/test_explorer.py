"""The Explorer as a person uses it, on the toy model whose circuit is known: 0.1 → 1.2 → logits."""

from __future__ import annotations

import csv
from typing import Any
from xml.etree import ElementTree

from playwright.sync_api import Page, expect

from tests.browser.downloads import downloaded
from tests.browser.layout import fits

TOY = "?model=toy-induction&task=induction-random&pairs=8"
CHART = ".st-key-{} .js-plotly-plot"
STATE = """([key]) => {
    const chart = document.querySelector(`.st-key-${key} .js-plotly-plot`);
    const trace = (name) => chart._fullData.find((each) => each.name === name);
    const slider = chart._fullLayout.sliders[0];
    const seen = (name) => [...chart.querySelectorAll(`.trace${trace(name).uid} .points path`)].filter(
        (mark) => !["rgba(0, 0, 0, 0)", "none"].includes(getComputedStyle(mark).stroke)
            && getComputedStyle(mark).strokeOpacity > 0);
    return {
        step: slider.active,
        label: slider.steps[slider.active].label,
        rings: seen("rings").length,
        guide: seen("guide").map((mark) => mark.__data__.i),
        settled: (trace("position").marker.cmin + trace("position").marker.cmax) / 2,
        selected: [...(trace("selected").x ?? []), ...(trace("selected").y ?? [])],
    };
}"""


def test_dragging_moves_rings_and_marker_without_the_server(page: Page, server: str) -> None:
    sent: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    open_ready(page, server)
    before = scores_state(page)
    assert before["step"] == 75 and sent
    grip = page.locator(f"{CHART.format('scores')} .slider-grip-rect")
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    url = page.url

    sent.clear()
    page.mouse.move(x, y)
    page.mouse.down()
    steps = []
    for moved in range(40, 241, 40):
        page.mouse.move(x - moved, y)
        steps.append(scores_state(page))
    assert page.url == url and not sent
    assert [state["step"] for state in steps] == sorted({state["step"] for state in steps}, reverse=True)
    assert steps[-1]["step"] < before["step"] and steps[-1]["rings"] > before["rings"]
    for state in steps:
        assert f"{state['rings']} of 24 heads kept" in state["label"]
        assert state["guide"] == [state["step"]]

    page.mouse.up()  # only now the server hears of it
    sparsity = steps[-1]["step"] / 100
    page.wait_for_url(lambda url: f"sparsity={sparsity:g}" in url)
    expect(page.get_by_label("Sparsity", exact=True)).to_have_value(f"{sparsity:.2f}")
    page.wait_for_function(f"Math.abs(({STATE})(['scores']).settled - {sparsity + 0.005}) < 1e-9")
    assert scores_state(page) == {**steps[-1], "settled": scores_state(page)["settled"]}


def test_a_sparsity_typed_moves_the_slider_in_place(page: Page, server: str) -> None:
    open_ready(page, server)
    page.evaluate("key => { document.querySelector(key).sameElement = true; }", CHART.format("scores"))
    field = page.get_by_label("Sparsity", exact=True)
    field.fill("0.40")
    field.press("Enter")
    page.wait_for_function(f"({STATE})(['scores']).step === 40")
    assert f"{scores_state(page)['rings']} of 24 heads kept" in scores_state(page)["label"]
    assert page.evaluate("key => document.querySelector(key).sameElement", CHART.format("scores"))


def test_a_search_from_start_to_a_head_and_back_after_a_reload(page: Page, server: str) -> None:
    open_ready(page, server)
    page.get_by_role("button", name="Find the circuit").click()
    expect(page.locator(CHART.format("circuit"))).to_be_visible()
    assert labels_of(page, "circuit") == ["0.1", "1.2"]

    click_point(page, "circuit", "heads", 1)
    page.wait_for_url("**head=1.2**")
    card = page.get_by_role("combobox", name="Head").last
    expect(card).to_have_value("1.2")
    expect(page.get_by_role("heading", name="Where it looks")).to_be_visible()
    page.wait_for_function(f"({STATE})(['scores']).selected.join() === '2,1'")

    click_point(page, "circuit", "heads", 0)
    page.wait_for_url("**head=0.1**")
    expect(card).to_have_value("0.1")

    page.reload()
    expect(page.locator(CHART.format("circuit"))).to_be_visible()
    assert labels_of(page, "circuit") == ["0.1", "1.2"]
    expect(card).to_have_value("0.1")


def test_a_click_on_the_map_selects_the_head(page: Page, server: str) -> None:
    open_ready(page, server)
    click_point(page, "scores", "heads", 12 + 2)  # layer 1, head 2
    page.wait_for_url("**head=1.2**")
    page.wait_for_function(f"({STATE})(['scores']).selected.join() === '2,1'")


def test_a_search_can_be_cancelled(page: Page, server: str) -> None:
    page.goto(f"{server}{TOY}&among=all&pairs=200")  # many pairs: the search waits behind the curves
    page.get_by_role("button", name="Find the circuit").click()
    panel = page.locator(".st-key-panel_search")
    panel.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Search again")).to_be_visible()
    expect(page.get_by_text("Cancelled.").first).to_be_visible()


def open_ready(page: Page, server: str, more: str = "") -> None:
    """Open the toy model (``more`` of a URL after it) and wait until nothing on the page is at work."""
    page.goto(server + TOY + more)
    expect(page.get_by_role("button", name="Find the circuit")).to_be_visible()
    expect(page.get_by_role("button", name="First cliff")).to_be_visible()
    expect(page.locator(".st-key-panel_curve")).to_have_count(0)
    expect(page.locator(CHART.format("scores"))).to_be_visible()


def scores_state(page: Page) -> dict[str, Any]:
    return page.evaluate(STATE, ["scores"])


def labels_of(page: Page, key: str) -> list[str]:
    page.wait_for_function("key => document.querySelector(key)?._fullData", arg=CHART.format(key))
    return page.evaluate(
        "key => [...document.querySelector(key)._fullData.find((each) => each.name === 'heads').text]",
        CHART.format(key),
    )


def click_point(page: Page, key: str, trace: str, number: int) -> None:
    """Click the middle of a marker, found through the chart's own axes."""
    chart = page.locator(CHART.format(key))
    chart.scroll_into_view_if_needed()
    where = page.evaluate(
        """([key, name, number]) => {
            const chart = document.querySelector(key);
            const trace = chart._fullData.find((each) => each.name === name);
            const { xaxis, yaxis } = chart._fullLayout;
            const box = chart.getBoundingClientRect();
            return {
                x: box.x + xaxis._offset + xaxis.l2p(trace.x[number]),
                y: box.y + yaxis._offset + yaxis.l2p(trace.y[number]),
            };
        }""",
        [CHART.format(key), trace, number],
    )
    page.mouse.move(where["x"], where["y"])
    page.mouse.click(where["x"], where["y"])


def test_a_phone_shows_it_all_without_scrolling_sideways(page: Page, server: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_ready(page, server)
    fits(page)
    box = page.locator(CHART.format("scores")).bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_figures_follow_the_theme_in_place(page: Page, server: str) -> None:
    page.emulate_media(color_scheme="light")
    open_ready(page, server)
    ink = "key => document.querySelector(key).layout.font.color"
    light = page.evaluate(ink, CHART.format("scores"))
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"([key, light]) => ({ink})(key) !== light", arg=[CHART.format("scores"), light])
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"([key, light]) => ({ink})(key) === light", arg=[CHART.format("scores"), light])


def test_a_figure_is_saved_as_svg(page: Page, server: str) -> None:
    open_ready(page, server)
    download = downloaded(page, "Save as SVG")
    assert download.suggested_filename == "headlight-scores.svg"
    root = ElementTree.parse(download.path()).getroot()
    assert root.tag.endswith("svg") and "heads kept" in "".join(root.itertext())


def test_the_attention_of_a_head_is_taken_away_as_csv_and_html(page: Page, server: str) -> None:
    open_ready(page, server, "&head=1.2")
    page.get_by_text("Attention as a table, and downloads").click()
    saved = {}
    for name in ("Attention, clean, as CSV", "Both as HTML"):
        download = downloaded(page, name)
        saved[name] = download.path().read_text(encoding="utf-8")
    rows = list(csv.DictReader(saved["Attention, clean, as CSV"].splitlines()))
    assert len(rows) > 10 and all(0 <= float(row["attention"]) <= 1 for row in rows)
    assert "Attention of 1.2" in saved["Both as HTML"] and "Plotly.newPlot" in saved["Both as HTML"]
