"""Bars of what each head or edge adds: order, marks, whiskers and rows, by hand."""

import math

import pytest
import torch

from engine.circuit import Edge, Input
from engine.evaluation.minimality import Minimality, Standing, minimality
from engine.evaluation.scale import Scale
from engine.figures.contributions import (
    METRIC,
    SHARE,
    contribution_rows,
    contributions_figure,
    member_name,
    shown_of,
)
from engine.figures.theme import traces
from engine.heads import Head

# Clean 2, corrupted 0 on every pair: a change of the metric is half as large a share.
SCALE = Scale(torch.full((4,), 2.0), torch.zeros(4), seed=0, draws=50)
NEEDED, IDLE, AGAINST = Head(5, 1), Head(3, 0), Head(7, 2)


def of(changes: dict, scale: Scale = SCALE) -> Minimality:
    return minimality({member: torch.tensor(values) for member, values in changes.items()}, scale)


FOUND = of({IDLE: [0.2, -0.2, 0.1, -0.1], AGAINST: [-0.4] * 4, NEEDED: [1.0, 1.0, 2.0, 2.0]})


def bars(figure) -> dict:
    return {trace.name: trace for trace in traces(figure)}


def test_each_standing_has_its_own_bars():
    figure = contributions_figure(FOUND, dark=False)
    found = bars(figure)
    assert set(found) == {"contributes", "not above noise", "works against the answer"}
    assert list(found["contributes"].y) == ["5.1"] and list(found["contributes"].x) == [0.75]
    assert list(found["works against the answer"].x) == pytest.approx([-0.2])
    assert found["not above noise"].marker.color == "rgba(0,0,0,0)" and found["contributes"].marker.line.width == 0
    assert [list(each) for each in found["contributes"].customdata] == [[5, 1]]
    assert list(figure.layout.yaxis.categoryarray) == ["5.1", "3.0", "7.2"] and figure.layout.showlegend
    (share,) = [each.share for each in FOUND.contributions if each.member == NEEDED]
    whisker = found["contributes"].error_x
    assert list(whisker.array) == [share.high - 0.75] and list(whisker.arrayminus) == [0.75 - share.low]
    assert figure.layout.xaxis.title.text == SHARE and figure.layout.xaxis.range[0] < -0.2


def test_the_largest_to_either_side_are_shown_in_the_order_of_all():
    assert [each.member for each in shown_of(FOUND, 2)] == [NEEDED, AGAINST]
    assert (
        contributions_figure(FOUND, dark=True, most=1).layout.height
        < contributions_figure(FOUND, dark=True).layout.height
    )


def test_without_shares_the_metric_is_drawn_and_nothing_is_judged():
    flat = of({NEEDED: [1.0, 3.0, 1.0, 3.0]}, Scale(torch.ones(4), torch.ones(4), seed=0, draws=50))
    figure = contributions_figure(flat, dark=False)
    (only,) = traces(figure)
    assert only.name == "cannot be judged" and list(only.x) == [2.0] and only.marker.pattern.shape == "/"
    assert figure.layout.xaxis.title.text == METRIC
    assert contribution_rows(flat)[0]["share of faithfulness"] is None


def test_one_pair_has_bars_without_whiskers():
    alone = of({NEEDED: [1.0]}, Scale(torch.tensor([2.0]), torch.tensor([0.0]), seed=0))
    (only,) = traces(contributions_figure(alone, dark=False))
    assert list(only.x) == [0.5] and list(only.error_x.array) == [0.0] and "one pair" in only.hovertext[0]


def test_edges_are_named_by_where_they_enter():
    into, out = Edge(IDLE, NEEDED, Input.K, -0.1), Edge(NEEDED, None, Input.LOGITS, -0.5)
    assert (member_name(into), member_name(out)) == ("3.0 → 5.1.k", "5.1 → logits")
    (only,) = traces(contributions_figure(of({into: [1.0] * 4, out: [2.0] * 4}), dark=False))
    assert [list(each) for each in only.customdata] == [["5.1", "logits", "logits"], ["3.0", "5.1", "k"]]


def test_rows_say_everything():
    assert contribution_rows(FOUND)[-1] == {
        "member": "7.2", "share of faithfulness": -0.2, "share low": -0.2, "share high": -0.2,
        "change of the metric": -0.4, "change low": -0.4, "change high": -0.4, "pairs": 4,
        "standing": Standing.AGAINST.value,
    }  # fmt: skip


def test_an_empty_circuit_has_a_hint():
    figure = contributions_figure(of({}), dark=False)
    assert not traces(figure) and "nothing in the circuit" in figure.layout.annotations[0].text
    assert math.isfinite(figure.layout.height)
