"""Faithfulness by size: places, bands, the circuit's own mark and rows, by hand."""

import pytest

from engine.evaluation.bootstrap import Interval
from engine.evaluation.by_size import BySize
from engine.figures.by_size import by_size_figure, by_size_rows
from engine.figures.theme import traces
from engine.heads import Head

NAN = float("nan")
UNDEFINED = Interval(NAN, NAN, NAN, 8, 100)


def at(value: float, half: float = 0.1) -> Interval:
    return Interval(value, value - half, value + half, 8, 100)


def made(*values: Interval) -> BySize:
    ranking = tuple(Head(0, index) for index in range(100))
    return BySize(ranking, (0, 1, 25, 100)[: len(values)], values, at(0.9), at(0.1), "")


FOUND = made(at(0.2), at(0.5), at(1.2), at(1.0))


def trace(figure, name: str):
    return next(each for each in traces(figure) if each.name == name)


def test_sizes_lie_by_the_root_of_their_share():
    figure = by_size_figure(FOUND, (4, at(0.8)), dark=False)
    curve = trace(figure, "its strongest heads first, then by C-FLAP")
    assert list(curve.x) == pytest.approx([0, 0.1, 0.5, 1]) and list(curve.y) == [0.2, 0.5, 1.2, 1.0]
    band = trace(figure, "95 % interval")
    assert list(band.y) == pytest.approx([0.3, 0.6, 1.3, 1.1, 0.9, 1.1, 0.4, 0.1])
    own = trace(figure, "this circuit")
    assert (list(own.x), list(own.y)) == ([0.2], [0.8]) and list(own.error_y.array) == pytest.approx([0.1])
    assert list(curve.customdata[2]) == [25, "1.200 (1.100 to 1.300)"]
    low, high = figure.layout.yaxis.range
    assert low < 0 and high > 1.3


def test_what_has_no_interval_has_no_band():
    lone = made(*(Interval(value, NAN, NAN, 1, 100) for value in (0.2, 0.5)))
    figure = by_size_figure(lone, (1, Interval(0.5, NAN, NAN, 1, 100)), dark=True)
    assert "95 % interval" not in [each.name for each in traces(figure)]
    assert trace(figure, "this circuit").error_y.array is None


def test_without_shares_there_is_a_hint():
    figure = by_size_figure(made(UNDEFINED, UNDEFINED), (1, UNDEFINED), dark=False)
    assert not traces(figure) and "no shares" in figure.layout.annotations[0].text


def test_rows_name_the_last_head():
    rows = by_size_rows(made(at(0.25, 0.125), UNDEFINED))
    assert rows[0] == {
        "heads": 0, "share of all heads": 0.0, "faithfulness": 0.25, "low": 0.125, "high": 0.375, "pairs": 8,
        "last head added": "",
    }  # fmt: skip
    assert rows[1]["faithfulness"] is None and rows[1]["last head added"] == "0.0"
