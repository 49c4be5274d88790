"""The runs themselves: marks by kind, and templates on both sides."""

from engine.circuit import Circuit
from engine.figures.refinds import left_out_figure, refind_rows, refinds_figure
from engine.figures.theme import traces
from engine.heads import Head
from engine.trust.draws import Draw, Kind
from engine.trust.refind import Refind


def circuit(size: int) -> Circuit:
    return Circuit(tuple(Head(0, index) for index in range(size)), (), 2, 8)


RUNS = (
    Refind(Draw(Kind.RESAMPLE, "resample 1", 0, (0, 0)), circuit(3), "", 0.9),
    Refind(Draw(Kind.RESAMPLE, "resample 2", 1, (1, 1)), circuit(4), "", float("nan")),
    Refind(Draw(Kind.SEED, "seed 2", 2), circuit(5), "", 0.8),
    Refind(Draw(Kind.TEMPLATE, "without template 1", 0, (1,), 0), circuit(2), "", 0.7, 0.95, 0.4),
    Refind(Draw(Kind.TEMPLATE, "without template 2", 0, (0,), 1), None, "The metric does not change."),
)


def trace(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


def test_a_mark_a_run_that_has_a_faithfulness():
    figure = refinds_figure(RUNS, 4, dark=False)
    assert (list(trace(figure, "resample").x), list(trace(figure, "resample").y)) == ([3], [0.9])
    assert (list(trace(figure, "other seed").x), list(trace(figure, "template left out").y)) == ([5], [0.7])
    assert len({trace(figure, name).marker.symbol for name in ("resample", "other seed", "template left out")}) == 3
    assert [shape.x0 for shape in figure.layout.shapes] == [4]
    assert not refinds_figure(RUNS, None, dark=True).layout.shapes
    assert "No run has a faithfulness" in refinds_figure(RUNS[4:], 4, dark=True).layout.annotations[0].text


def test_both_sides_of_a_template():
    figure = left_out_figure(RUNS, dark=False)
    assert list(trace(figure, "templates it was found on").x) == [0.95]
    assert list(trace(figure, "template left out").x) == [0.4]
    assert list(figure.layout.yaxis.ticktext) == ["without template 1"]
    assert "No template was left out" in left_out_figure(RUNS[:3], dark=True).layout.annotations[0].text


def test_rows_say_what_could_not_be_done():
    rows = refind_rows(RUNS)
    assert [row["heads"] for row in rows] == [3, 4, 5, 2, None]
    assert rows[3]["on templates used"] == 0.95 and rows[3]["on the template left out"] == 0.4
    assert rows[1]["faithfulness"] is None and rows[4]["problem"] == "The metric does not change."
