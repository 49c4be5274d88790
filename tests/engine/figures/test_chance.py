"""A circuit among random ones: dots, bands, medians and rows, by hand."""

from engine.evaluation.bootstrap import Interval
from engine.evaluation.random_circuits import Draw, RandomCircuits
from engine.figures.chance import chance_figure, chance_rows
from engine.figures.theme import traces

NAN = float("nan")
OWN = Interval(0.9, 0.8, 1.1, 8, 100)


def random(draw: Draw, *faithfulness: float) -> RandomCircuits:
    return RandomCircuits(draw, tuple(2 * value for value in faithfulness), faithfulness, OWN.value, 7, "")


SIZE, LAYERS = random(Draw.SAME_SIZE, 0.1, -0.2, 0.4), random(Draw.SAME_LAYERS, 0.5, 0.6, 0.7)


def test_each_sort_has_a_row_with_its_band_and_median():
    figure = chance_figure((SIZE, LAYERS), OWN, dark=False)
    first, second, key = traces(figure)
    assert (list(first.x), list(second.x)) == ([0.1, -0.2, 0.4], [0.5, 0.6, 0.7]) and key.name == "the circuit"
    assert all(abs(y) < 0.3 for y in first.y) and all(abs(y - 1) < 0.3 for y in second.y) and len(set(first.y)) == 3
    interval, line, band, median, *_ = figure.layout.shapes
    assert (interval.x0, interval.x1, line.x0, line.x1) == (0.8, 1.1, 0.9, 0.9)
    assert (band.x0, band.x1, median.x0) == (-0.2, 0.4, 0.1)
    assert list(figure.layout.yaxis.ticktext) == ["same size", "same layers"]
    low, high = figure.layout.xaxis.range
    assert low < -0.2 and high > 1.1


def test_one_pair_has_a_line_without_a_shade():
    figure = chance_figure((SIZE,), Interval(0.9, NAN, NAN, 1, 100), dark=True)
    assert [shape.type for shape in figure.layout.shapes] == ["line", "rect", "line"]


def test_without_shares_there_is_a_hint():
    for own, sets in ((Interval(NAN, NAN, NAN, 8, 100), (SIZE,)), (OWN, (random(Draw.SAME_SIZE, NAN),)), (OWN, ())):
        figure = chance_figure(sets, own, dark=False)
        assert not traces(figure) and "no shares" in figure.layout.annotations[0].text


def test_rows_name_every_set():
    rows = chance_rows((SIZE, random(Draw.SAME_LAYERS, NAN)))
    assert rows[1] == {
        "like the circuit in": "same size", "number": 2, "metric": -0.4, "faithfulness": -0.2,
        "circuit's faithfulness": 0.9, "seed": 7,
    }  # fmt: skip
    assert len(rows) == 4 and rows[3]["faithfulness"] is None
