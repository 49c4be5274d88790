"""Searches of one task by size, faithfulness and cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from engine.figures.contest import contest_figure, contest_rows, cost_figure
from engine.figures.theme import SEARCH_COLOURS, traces
from engine.settings import Algorithm


@dataclass(frozen=True)
class Bounds:
    low: float
    high: float


@dataclass(frozen=True)
class Near:
    precision: float
    recall: float
    jaccard: float
    common: int


@dataclass(frozen=True)
class Run:
    algorithm: str
    method: str
    size: int
    faithfulness: float
    gigaflops: float
    interval: Bounds | None = None
    heads: Near | None = None
    edges: Near | None = None
    seconds: float = 2.5
    complete: bool = True
    candidates: int = 79
    edge_count: int = 30
    performance: float = 90.0
    n: int = 16
    seed: int | None = 1
    ablation: str | None = "mean"


NAMES = ["APP", "Dense path patching", "ACDC", "EAP"]
ROWS = [
    Run("path_patching", "app", 30, 0.9, 100.0, Bounds(0.8, 0.95), Near(0.5, 0.25, 0.2, 15)),
    Run("path_patching", "dense", 60, 1.1, 400.0, Bounds(1.0, 1.3)),
    Run("acdc", "app", 30, 0.7, 1000.0, Bounds(math.nan, math.nan)),
    Run("eap", "app", 0, math.nan, 10.0, None, Near(math.nan, 0.0, 0.0, 0), complete=False, n=0, seed=None,
        ablation=None, performance=math.nan),
]  # fmt: skip


def trace(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


@pytest.mark.parametrize("dark", [False, True])
def test_a_verified_run_has_a_mark_with_its_interval_and_one_that_is_not_has_none(dark):
    figure = contest_figure(NAMES, ROWS, dark=dark)
    assert [each.name for each in traces(figure)] == ["APP", "Dense path patching", "ACDC"]
    app, dense, acdc = (trace(figure, name) for name in NAMES[:3])
    assert app.error_y.array[0] == pytest.approx(0.05) and app.error_y.arrayminus[0] == pytest.approx(0.1)
    assert acdc.error_y.array is None
    assert (app.marker.symbol, dense.marker.symbol) == ("circle", "diamond")
    assert app.marker.color == dense.marker.color == SEARCH_COLOURS["path_patching"] != acdc.marker.color
    assert "0.800 to 0.950" in app.hovertext[0]


def test_marks_of_one_size_stand_on_either_side_of_it_and_others_on_theirs():
    figure = contest_figure(NAMES, ROWS, dark=False)
    left, alone, right = (trace(figure, name).x[0] for name in NAMES[:3])
    assert alone == 60 and left < 30 < right and left + right == pytest.approx(60)


def test_every_interval_and_the_whole_model_are_in_sight():
    low, high = contest_figure(NAMES, ROWS, dark=False).layout.yaxis.range
    assert low < 0.7 and high > 1.3
    low, high = contest_figure(["EAP"], [Run("eap", "app", 3, 0.2, 1.0)], dark=False).layout.yaxis.range
    assert low < 0.2 and high > 1.0


def test_without_a_verified_run_the_plot_says_so():
    figure = contest_figure(NAMES[3:], ROWS[3:], dark=False)
    assert not traces(figure) and "No circuit" in figure.layout.annotations[0].text
    assert "Nothing has been run" in cost_figure([], [], dark=False).layout.annotations[0].text


def test_bars_are_of_the_whole_run_first_on_top_and_dense_ones_hatched():
    figure = cost_figure(NAMES, ROWS, dark=False)
    [bars] = traces(figure)
    assert list(bars.x) == [100, 400, 1000, 10] and bars.text[0] == "100 GFLOP · 2.5 s"
    assert list(bars.marker.pattern.shape) == ["", "/", "", ""]
    assert list(figure.layout.yaxis.ticktext) == NAMES and figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert 10 ** figure.layout.xaxis.range[0] < 10 and 10 ** figure.layout.xaxis.range[1] > 1000
    assert "stopped" in bars.hovertext[3] and "stopped" not in bars.hovertext[0]


def test_rows_tell_everything_and_leave_out_what_was_not_measured():
    first, second, third, last = contest_rows(NAMES, ROWS)
    assert (first["search"], first["heads"], first["faithfulness, low"], first["faithfulness, high"]) == (
        "APP", 30, 0.8, 0.95
    )  # fmt: skip
    assert (first["precision, heads"], first["recall, heads"], first["jaccard, heads"]) == (0.5, 0.25, 0.2)
    assert first["recall, edges"] is None and second["precision, heads"] is None and third["faithfulness, low"] is None
    assert last["faithfulness"] is last["performance %"] is last["precision, heads"] is last["n"] is None
    assert last["recall, heads"] == 0.0 and not last["complete"] and (first["n"], first["seed"]) == (16, 1)


def test_every_algorithm_has_a_colour_of_its_own():
    assert len({SEARCH_COLOURS[algorithm] for algorithm in Algorithm}) == len(Algorithm)
