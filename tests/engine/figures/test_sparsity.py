"""Performance curves, cliff markers and the random band."""

from __future__ import annotations

from engine.figures.sparsity import performance_axis, sparsity_figure
from engine.figures.theme import traces
from tests.engine.figures.made_up import A_BAND, a_sweep, some_scores

SWEEPS = (a_sweep(some_scores()), a_sweep(some_scores(seed=1), "flap"))


def test_curves_carry_the_measured_values():
    figure = sparsity_figure(SWEEPS, band=None, dark=False)
    curve = next(trace for trace in traces(figure) if trace.name == "C-FLAP")
    assert tuple(curve.y) == SWEEPS[0].performance
    assert curve.text[60] == f"{SWEEPS[0].sizes[60]} heads kept"
    assert list(curve.customdata[60]) == ["sparsity", 0.6]


def test_coinciding_cliffs_share_a_marker():
    figure = sparsity_figure(SWEEPS[:1], band=None, dark=False)
    markers = next(trace for trace in traces(figure) if trace.mode == "markers+text")
    # The curve has one step, so first and biggest are its last point before, .79; fixed is .75.
    assert list(markers.text) == ["fixed", "first = biggest"]
    assert list(markers.x) == [0.75, 0.79]
    assert "first cliff" in markers.hovertext[1]
    assert "biggest cliff" in markers.hovertext[1]


def test_the_band_is_one_closed_outline_from_low_to_high():
    band = traces(sparsity_figure((), band=A_BAND, dark=True))[0]
    assert list(band.x) == [0.0, 0.5, 0.5, 0.0]
    assert list(band.y) == [130.0, 60.0, -20.0, 80.0]


def test_the_axis_shows_every_value_and_always_0_and_100():
    low, high = performance_axis((), None)["range"]
    assert low < 0 < 100 < high
    low, high = performance_axis(SWEEPS, A_BAND)["range"]
    assert low < -20
    assert high > 130
