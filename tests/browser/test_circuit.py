"""The Circuit room as a person uses it, on the toy model whose circuit is known: 0.1 → 1.2 → logits."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest
from playwright.sync_api import Page, expect

from engine.interchange.reading import read_any
from tests.browser.downloads import downloaded
from tests.browser.layout import fits
from tests.browser.test_explorer import CHART, TOY, click_point, labels_of

FILES = {
    "Graph as HTML": "circuit.html",
    "GraphML": "circuit.graphml",
    "Mermaid": "circuit.mmd",
    "Circuit as JSON": "circuit.json",
    "Node-link JSON": "circuit-node-link.json",
    "EAP-IG / MIB JSON": "circuit-mib.json",
    "Whole run as JSON": "headlight-run.json",
    "Edges as CSV": "circuit-edges.csv",
    "Heads as CSV": "circuit-heads.csv",
}
BACK = ("Circuit as JSON", "GraphML", "Node-link JSON", "EAP-IG / MIB JSON")


@pytest.fixture
def room(page: Page, server: str) -> Page:
    """The page after a search."""
    page.goto(f"{server}circuit{TOY}")
    page.get_by_role("button", name="Find the circuit").click()
    expect(page.locator(CHART.format("circuit_map"))).to_be_visible()
    expect(page.get_by_text("2 of 2 heads have a role")).to_be_visible()
    return page


def test_heads_and_edges_answer_clicks_and_a_phone_shows_them(room: Page) -> None:
    assert labels_of(room, "circuit_map") == ["0.1", "1.2"]
    click_point(room, "circuit_map", "heads", 1)
    room.wait_for_url("**head=1.2**")
    expect(room.get_by_role("combobox", name="Find a head")).to_have_value("1.2 · induction")
    expect(room.get_by_role("heading", name="Where it looks")).to_be_visible()
    room.wait_for_function(
        "key => document.querySelector(key)._fullData.find((each) => each.name === 'selected').x?.length === 1",
        arg=CHART.format("circuit_map"),
    )
    click_point(room, "circuit_map", "edge targets", 1)
    room.wait_for_url("**edge=**")
    expect(room.get_by_text("patching it lowers the metric").first).to_be_visible()

    name = room.get_by_role("textbox", name="Your name for it")
    name.fill("my mover")
    name.press("Enter")
    room.wait_for_url("**names=1.2**")
    room.reload()
    expect(room.get_by_role("combobox", name="Find a head")).to_have_value("1.2 · my mover")

    room.set_viewport_size({"width": 390, "height": 844})
    box = room.locator(CHART.format("circuit_map")).bounding_box()
    fits(room)
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_every_file_opens_and_the_circuit_comes_back_in(room: Page, tmp_path: Path) -> None:
    saved = {label: save(room, tmp_path, label) for label in FILES}
    assert {label: path.name for label, path in saved.items()} == FILES
    assert "Plotly.newPlot" in saved["Graph as HTML"].read_text(encoding="utf-8")
    ElementTree.parse(saved["GraphML"])
    graph = nx.read_graphml(saved["GraphML"], force_multigraph=True)
    assert set(graph) == {"0.1", "1.2", "logits"} and graph.nodes["0.1"]["role"] == "previous token"
    mermaid = saved["Mermaid"].read_text(encoding="utf-8")
    assert mermaid.startswith("flowchart BT\n") and "h0_1 -->" in mermaid and "induction" in mermaid
    edges = list(csv.DictReader(saved["Edges as CSV"].read_text(encoding="utf-8").splitlines()))
    assert [(row["sender"], row["receiver"]) for row in edges] == [("1.2", "logits"), ("0.1", "1.2")]
    heads = list(csv.DictReader(saved["Heads as CSV"].read_text(encoding="utf-8").splitlines()))
    assert [row["behaves like"] for row in heads] == ["previous token", "induction, name-mover-like"]
    for label in ("Circuit as JSON", "Whole run as JSON"):
        record = json.loads(saved[label].read_text(encoding="utf-8"))
        assert record["schema"] == "headlight/1" and record["circuit"]["heads"] == ["0.1", "1.2"]

    circuits = [read_any(saved[label].read_bytes()) for label in BACK]
    assert all(each.circuit == circuits[0].circuit and each.roles == circuits[0].roles for each in circuits)
    assert {(each.model, each.task, each.d_model) for each in circuits} == {("toy-induction", "induction-random", 240)}

    png = save(room, tmp_path, "Save as PNG")
    assert png.name == "circuit.png" and png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    room.locator(".st-key-picture_background").get_by_text("dark").click()
    expect(room.locator(".st-key-picture").get_by_role("button", name="Save as SVG")).to_have_attribute(
        "data-background", "rgb(18,22,30)"
    )
    svg = save(room.locator(".st-key-picture"), tmp_path, "Save as SVG", room)
    picture = svg.read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).tag.endswith("svg") and "rgb(18, 22, 30)" in picture and "1.2" in picture

    upload = room.locator(".st-key-circuit_upload input[type=file]")
    upload.set_input_files(saved["EAP-IG / MIB JSON"])
    expect(room.get_by_text("found on toy-induction for the task induction-random")).to_be_visible()
    room.get_by_role("button", name="Verify on this model and task").click()
    expect(room.get_by_text("n = 8 fresh pairs, seed 1, mean ablation")).to_be_visible()

    renamed = tmp_path / "run.json"
    renamed.write_bytes(png.read_bytes())
    upload.set_input_files(renamed)
    expect(room.get_by_text("This is a PNG picture, whatever its name says.")).to_be_visible()
    expect(room.locator(CHART.format("circuit_map"))).to_be_visible()


def save(within, folder: Path, label: str, page: Page | None = None) -> Path:
    value = downloaded(page or within, label, within, exact=True)
    path = folder / value.suggested_filename
    value.save_as(path)
    return path
