"""Effects of one search step against their thresholds."""

from __future__ import annotations

import math

import torch

from engine.figures.effects import effects_figure, strongest
from engine.figures.theme import traces
from engine.heads import Head

NAN, INF = float("nan"), math.inf
EFFECTS = torch.tensor([[0.1, -0.5], [NAN, 0.02], [0.3, NAN], [NAN, NAN]])
THRESHOLDS = torch.tensor([0.2, 0.15, 0.25, INF])
IMPORTANT = (Head(0, 1), Head(2, 0))


def test_the_strongest_come_first_and_unmeasured_heads_not_at_all():
    assert [str(head) for head in strongest(EFFECTS, 9)] == ["0.1", "2.0", "0.0", "1.1"]
    assert [str(head) for head in strongest(EFFECTS, 2)] == ["0.1", "2.0"]


def test_bars_carry_effect_head_and_verdict():
    bars = traces(effects_figure(EFFECTS, THRESHOLDS, IMPORTANT, dark=False))[0]
    assert [round(value, 4) for value in bars.y] == [-0.5, 0.3, 0.1, 0.02]
    assert [list(data) for data in bars.customdata] == [[0, 1], [2, 0], [0, 0], [1, 1]]
    assert list(bars.text)[1:3] == ["threshold 0.2500: important", "threshold 0.2000: not important"]
    negative, positive, *others = bars.marker.color
    assert negative != positive
    assert set(others).isdisjoint({negative, positive})
    assert len(set(others)) == 1


def test_thresholds_are_marked_on_both_sides_of_zero():
    above, below = traces(effects_figure(EFFECTS, THRESHOLDS, IMPORTANT, dark=True))[1:]
    assert list(above.x) == list(below.x) == ["0.1", "2.0", "0.0", "1.1"]
    assert [round(y, 4) for y in above.y] == [0.2, 0.25, 0.2, 0.15]
    assert [round(y, 4) for y in below.y] == [-0.2, -0.25, -0.2, -0.15]


def test_an_infinite_threshold_is_said_and_not_drawn():
    figure = effects_figure(EFFECTS, torch.full((4,), INF), (), dark=False)
    assert set(traces(figure)[1].y) == {None}
    assert "no sender counts" in traces(figure)[0].text[0]


def test_nothing_measured_says_so():
    figure = effects_figure(torch.full((2, 2), NAN), torch.full((2,), INF), (), dark=False)
    assert "No sender" in figure.layout.annotations[0].text
