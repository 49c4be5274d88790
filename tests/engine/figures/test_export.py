"""Tables, CSV, HTML, GraphML and JSON read back."""

from __future__ import annotations

import csv
import io
import math
import re

import pytest
import torch

from engine.circuit import Input
from engine.cost.ledger import CostRow
from engine.figures.export import circuit_mermaid, figure_html, rows_csv
from engine.figures.graph import graph_figure
from engine.figures.tables import (
    attention_rows,
    cost_rows,
    edge_rows,
    effect_rows,
    grid_rows,
    head_rows,
    score_rows,
    sweep_rows,
)
from engine.heads import Head
from engine.pruning.masks import SWEEP_SPARSITIES
from engine.search.grid import Grid, GridPoint
from engine.search.path_patching import SearchStep, Thresholds
from tests.engine.figures.made_up import A_BAND, A_CIRCUIT, a_sweep, some_scores


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_html_stands_alone_and_its_title_is_escaped():
    page = figure_html(graph_figure(A_CIRCUIT, dark=True), "IOI <script>x</script>", dark=True)
    assert "<title>IOI &lt;script&gt;x&lt;/script&gt;</title>" in page
    assert "<script>x</script>" not in page
    assert 'src="http' not in page
    assert len(page) > 1_000_000  # plotly.js is inside
    assert "background:rgb(18,22,30)" in page


def test_edges_survive_csv_strongest_first():
    rows = read_csv(rows_csv(edge_rows(A_CIRCUIT)))
    assert [row["effect"] for row in rows] == ["-0.8", "-0.79", "-0.4", "0.1", "0.05"]
    assert rows[0] == {"sender": "4.2", "receiver": "logits", "input": "logits", "effect": "-0.8", "shared": "False"}
    assert len(edge_rows(A_CIRCUIT, min_effect=0.3)) == 3
    assert rows_csv([]) == ""


def test_text_with_commas_and_newlines_survives_csv():
    rows = read_csv(rows_csv(attention_rows(torch.eye(2), [" a,\"b\"", "\n"])))
    assert [row["query"] for row in rows] == [' a,"b"', "\n", "\n"]
    assert [row["attention"] for row in rows] == ["1.0", "0.0", "1.0"]


def test_score_rows_name_each_head_with_the_sparsity_that_drops_it():
    rows = score_rows({"FLAP": torch.tensor([[3.0, 1.0], [2.0, 4.0]])})
    assert [row["head"] for row in rows] == ["0.0", "0.1", "1.0", "1.1"]
    assert [row["FLAP"] for row in rows] == [3.0, 1.0, 2.0, 4.0]
    # Of 4 heads, 3 are kept up to H(1-p) > 3.5, 2 up to 2.5, 1 up to 1.5: p = .125, .375, .625.
    assert [row["FLAP dropped at sparsity"] for row in rows] == [0.38, 0.0, 0.13, 0.63]


def test_sweep_rows_hold_every_curve_and_the_band():
    rows = sweep_rows([a_sweep(some_scores())], A_BAND)
    assert len(rows) == len(SWEEP_SPARSITIES) + 6
    assert rows[80] == {"curve": "C-FLAP", "sparsity": 0.8, "heads kept": 4, "performance %": 0.0}
    assert rows[-1]["performance %"] == 60.0


def test_effect_rows_leave_out_what_was_not_measured_and_name_estimates():
    effects = torch.tensor([[0.25, math.nan], [-0.5, 0.0]])
    estimated = torch.tensor([[False, False], [False, True]])
    rows = effect_rows(effects, estimated, torch.tensor([0.2, math.inf]), [Head(0, 0)])
    assert rows[0] == {
        "sender": "0.0", "effect": 0.25, "kind": "exact", "threshold": rows[0]["threshold"], "important": True,
    }  # fmt: skip
    assert [row["sender"] for row in rows] == ["0.0", "1.0", "1.1"]
    assert rows[1]["threshold"] is None
    assert [row["kind"] for row in read_csv(rows_csv(rows))] == ["exact", "exact", "estimate"]


def a_step(receivers, entry, effects, estimated, important):
    shape = 6, 4
    values, guessed = torch.full(shape, math.nan), torch.zeros(shape, dtype=torch.bool)
    for (layer, index), effect in effects.items():
        values[layer, index], guessed[layer, index] = effect, (layer, index) in estimated
    return SearchStep(receivers, entry, values, guessed, torch.full((6,), 0.04), important)


def test_a_head_has_a_row_for_each_effect_it_was_measured_to_have_and_each_edge_it_receives():
    steps = [
        a_step((), Input.LOGITS, {(4, 2): -0.8, (2, 0): 0.1}, (), (Head(2, 0), Head(4, 2))),
        a_step((Head(4, 2),), Input.Q, {(2, 0): -0.01, (0, 1): -0.4}, [(2, 0)], (Head(0, 1),)),
        a_step((Head(4, 2), Head(4, 3)), Input.K, {(2, 0): 0.05}, (), (Head(2, 0),)),
        a_step((Head(4, 2),), Input.V, {(2, 3): -0.79}, (), (Head(2, 3),)),  # not measured for 2.0
    ]
    rows = head_rows(steps, A_CIRCUIT, Head(2, 0))
    assert [list(row.values())[1:] for row in rows] == [
        ["logits", "logits", pytest.approx(0.1), "exact", True, False],
        ["4.2", "k", pytest.approx(0.05), "exact", True, True],
        ["4.3", "k", pytest.approx(0.05), "exact", True, True],
        ["4.2", "q", pytest.approx(-0.01), "estimate", False, False],
    ]
    assert {row["direction"] for row in rows} == {"sends to"}
    heard = head_rows(steps, A_CIRCUIT, Head(4, 2))
    assert [(row["direction"], row["other"], row["input"]) for row in heard] == [
        ("sends to", "logits", "logits"), ("hears from", "2.3", "v"), ("hears from", "0.1", "q"),
        ("hears from", "2.0", "k"),
    ]  # fmt: skip
    assert {row["kind"] for row in heard} == {"exact"}
    # An edge of a search that only scores is an estimate on both its ends.
    steps[1] = a_step((Head(4, 2),), Input.Q, {(0, 1): -0.4}, [(0, 1)], (Head(0, 1),))
    kinds = {row["input"]: row["kind"] for row in head_rows(steps, A_CIRCUIT, Head(4, 2))}
    assert kinds == {"logits": "exact", "v": "exact", "q": "estimate", "k": "exact"}


def test_grid_rows_mark_the_pair_taken():
    lax, strict = Thresholds(1.0, 0.02), Thresholds(2.5, 0.001)
    points = (GridPoint(lax, 12, 40, 88.5, True), GridPoint(strict, 5, 9, 76.0, False))
    rows = read_csv(rows_csv(grid_rows(Grid(points, 1, "why"))))
    assert [list(row.values()) for row in rows] == [
        ["1.0", "0.02", "12", "40", "88.5", "estimate", "False"],
        ["2.5", "0.001", "5", "9", "76.0", "exact", "True"],
    ]


def test_cost_rows_stand_side_by_side_and_add_up_once_all_is_measured():
    predicted = (CostRow("calibration", 1.0, 2.0, 4e9), CostRow("path patching", 3.0, 6.0, 12e9))
    half = cost_rows(predicted, (CostRow("calibration", 1.5, 2.0, 4e9),))
    assert half[1] == {
        "stage": "path patching", "predicted s": 3.0, "measured s": None, "predicted passes": 6.0,
        "measured passes": None, "predicted GFLOP": 12.0, "measured GFLOP": None,
    }  # fmt: skip
    assert half[-1]["stage"] == "whole run"
    assert (half[-1]["predicted s"], half[-1]["measured s"]) == (4.0, None)
    done = (*predicted, CostRow("verification", 0.5, 3.0, 6e9))
    full = cost_rows(predicted, done)
    assert [row["stage"] for row in full] == ["calibration", "path patching", "verification", "whole run"]
    assert full[2]["predicted s"] is None and full[-1]["measured s"] == 4.5 and full[-1]["measured GFLOP"] == 22.0


NAMES = {Head(0, 1): 'say "hi" <b>'}
ROLES = {Head(0, 1): "induction", Head(4, 2): "name-mover-like"}


def test_mermaid_is_a_flowchart_with_every_head_and_edge():
    header, *lines = circuit_mermaid(A_CIRCUIT, NAMES, ROLES).rstrip("\n").split("\n")
    assert header == "flowchart BT"
    nodes = dict(match.groups() for line in lines if (match := re.fullmatch(r' +(\w+)\["([^"]*)"\]', line)))
    assert set(nodes) == {"h0_1", "h2_0", "h2_3", "h4_2", "logits"}
    assert nodes["h0_1"] == "0.1<br>say #34;hi#34; #60;b#62;<br>induction"
    edges = [re.fullmatch(r'  (\w+) (-->|-\.->)\|"(\w+) ([+-][\d.]+)"\| (\w+)', line) for line in lines]
    found = [match.groups() for match in edges if match]
    assert found[0] == ("h4_2", "-->", "logits", "-0.800", "logits")
    assert ("h2_0", "-.->", "k", "+0.050", "h4_2") in found and len(found) == 5
    assert sum(line.startswith("  subgraph layer") for line in lines) == sum(line == "  end" for line in lines) == 3
    counted = len(nodes) + len(found) + 2 * 3
    assert counted == len(lines), "a line is neither node, edge nor subgraph"
