"""Effects of one search step against their thresholds."""

from __future__ import annotations

import math

import pytest
import torch

from engine.figures.effects import HOLLOW, effects_figure, strongest
from engine.figures.theme import traces
from engine.heads import Head

NAN, INF = float("nan"), math.inf
EFFECTS = torch.tensor([[0.1, -0.5], [NAN, 0.02], [0.3, NAN], [NAN, NAN]])
THRESHOLDS = torch.tensor([0.2, 0.15, 0.25, INF])
IMPORTANT = (Head(0, 1), Head(2, 0))
EXACT = torch.zeros(4, 2, dtype=torch.bool)
SCREENED = torch.tensor([[True, False], [False, True], [False, False], [False, False]])


def test_the_strongest_come_first_and_unmeasured_heads_not_at_all():
    assert [str(head) for head in strongest(EFFECTS, 9)] == ["0.1", "2.0", "0.0", "1.1"]
    assert [str(head) for head in strongest(EFFECTS, 2)] == ["0.1", "2.0"]


def test_bars_carry_effect_head_and_verdict():
    bars = traces(effects_figure(EFFECTS, EXACT, THRESHOLDS, IMPORTANT, dark=False))[0]
    assert [round(value, 4) for value in bars.y] == [-0.5, 0.3, 0.1, 0.02]
    assert [list(data) for data in bars.customdata] == [[0, 1], [2, 0], [0, 0], [1, 1]]
    assert list(bars.text)[1:3] == ["threshold 0.2500: important", "threshold 0.2000: not important"]
    negative, positive, *others = bars.marker.color
    assert negative != positive
    assert set(others).isdisjoint({negative, positive})
    assert len(set(others)) == 1


def test_thresholds_are_marked_on_both_sides_of_zero():
    above, below = traces(effects_figure(EFFECTS, EXACT, THRESHOLDS, IMPORTANT, dark=True))[1:]
    assert list(above.x) == list(below.x) == ["0.1", "2.0", "0.0", "1.1"]
    assert [round(y, 4) for y in above.y] == [0.2, 0.25, 0.2, 0.15]
    assert [round(y, 4) for y in below.y] == [-0.2, -0.25, -0.2, -0.15]


def test_an_infinite_threshold_is_said_and_not_drawn():
    figure = effects_figure(EFFECTS, EXACT, torch.full((4,), INF), (), dark=False)
    assert set(traces(figure)[1].y) == {None}
    assert "no sender counts" in traces(figure)[0].text[0]


def test_nothing_measured_says_so():
    figure = effects_figure(torch.full((2, 2), NAN), torch.zeros(2, 2).bool(), torch.full((2,), INF), (), dark=False)
    assert "No sender" in figure.layout.annotations[0].text


@pytest.mark.parametrize("dark", [False, True])
def test_estimates_are_hollow_hatched_and_said_on_hover(dark):
    bars = traces(effects_figure(EFFECTS, SCREENED, THRESHOLDS, IMPORTANT, dark=dark, selected=Head(1, 1)))[0]
    assert list(bars.hovertext) == ["exact", "exact", "estimate", "estimate"]
    assert "%{hovertext}" in bars.hovertemplate
    assert list(bars.marker.pattern.shape) == ["", "", "/", "/"]
    assert list(bars.marker.color)[2:] == [HOLLOW, HOLLOW] and HOLLOW not in bars.marker.color[:2]
    assert list(bars.marker.line.width) == [0, 0, 1, 2.5]  # a hollow bar needs a frame to be seen


def test_a_legend_says_what_hatching_means_where_there_is_any():
    plain, hatched = (effects_figure(EFFECTS, mask, THRESHOLDS, IMPORTANT, dark=False) for mask in (EXACT, SCREENED))
    named = [trace for trace in traces(hatched) if trace.showlegend is not False]
    assert [(trace.name, trace.marker.pattern.shape[0]) for trace in named] == [
        ("exact", ""), ("estimate, first order", "/"),
    ]  # fmt: skip
    assert hatched.layout.showlegend and hatched.layout.barmode == "overlay"  # the legend's bars take no room
    assert not plain.layout.showlegend
    weak = effects_figure(EFFECTS, SCREENED, THRESHOLDS, IMPORTANT, dark=False, most=2)
    assert not weak.layout.showlegend  # no estimate among the bars drawn
