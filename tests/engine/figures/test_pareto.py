"""The nine unions by size and performance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.figures.pareto import pareto_figure, places
from engine.figures.score_tables import union_rows
from engine.figures.theme import traces
from engine.pruning.cliffs import Cliff, CliffKind
from engine.pruning.merge import UNION_NAMES


@dataclass(frozen=True)
class Union:
    name: str
    size: int
    performance: float

    @property
    def flap_cliff(self) -> Cliff:
        return Cliff(CliffKind(self.name.partition("+")[0]), 0, 0.5, "made up")

    @property
    def contrastive_cliff(self) -> Cliff:
        return Cliff(CliffKind(self.name.partition("+")[2]), 0, 0.5, "made up")


SIZES = (10, 10, 20, 30, 40, 40, 50, 60, 5)
PERFORMANCE = (60.0, 60.0, 80.0, 70.0, 95.0, 90.0, 95.0, 120.0, math.nan)
UNIONS = [Union(*each) for each in zip(UNION_NAMES, SIZES, PERFORMANCE, strict=True)]


def trace(figure, name: str):
    return next(trace for trace in traces(figure) if trace.name == name)


def test_unions_at_one_place_share_a_mark_which_names_the_first():
    figure = pareto_figure(UNIONS, largest=35, dark=False)
    front, beaten = trace(figure, "union on the front"), trace(figure, "union another one beats")
    assert list(front.x) == [10, 20, 40, 60] and list(beaten.x) == [30, 40, 50]
    assert list(front.customdata[0]) == ["union", "first+first"] and front.text[0] == "first + first (+1)"
    assert "first + biggest" in front.hovertext[0]
    assert sum(len(place) for place in places(UNIONS)) == 9


def test_the_front_is_a_stair_and_the_rules_corner_is_in_sight():
    figure = pareto_figure(UNIONS, largest=35, dark=True)
    stair = trace(figure, "Pareto front")
    assert list(stair.y) == [60, 80, 95, 120, 120] and stair.line.shape == "hv"
    corner = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (corner.x0, corner.x1, corner.y0) == (0, 35, 75)
    assert figure.layout.xaxis.range[1] > 60 and figure.layout.yaxis.range[1] > 120


def test_without_any_performance_the_plot_says_so():
    figure = pareto_figure([Union("first+first", 3, math.nan)], largest=5, dark=False)
    assert not traces(figure) and "No union" in figure.layout.annotations[0].text


def test_rows_tell_share_front_rule_and_choice():
    rows = union_rows(UNIONS, 70, 35, [0.5] * 9, "first+fixed", "biggest+first")
    assert [row["on the front"] for row in rows] == [True, True, True, False, True, False, False, True, False]
    assert [row["union"] for row in rows if row["meets the rule"]] == ["first+fixed"]
    assert [row["union"] for row in rows if row["used"]] == ["first+fixed"]
    assert [row["union"] for row in rows if row["chosen automatically"]] == ["biggest+first"]
    assert rows[2]["share of heads %"] == 100 * 20 / 70 and rows[2]["C-FLAP cliff"] == "fixed"
