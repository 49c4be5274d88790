"""The square of rank correlations."""

import math

from engine.figures.correlations import correlation_rows, correlations_figure
from engine.figures.theme import traces

FOUND = {("flap", "contrastive_flap"): -0.5, ("flap", "walk"): math.nan, ("contrastive_flap", "walk"): 0.25}


def test_it_is_the_same_either_way_and_whole_with_itself():
    [square] = traces(correlations_figure(("flap", "contrastive_flap", "walk"), FOUND, dark=False))
    assert [list(row) for row in square.z] == [[1, -0.5, None], [-0.5, 1, 0.25], [None, 0.25, 1]]
    assert list(square.x) == list(square.y) == ["FLAP", "C-FLAP", "Walk by estimates"]
    assert list(square.text[0]) == ["1.00", "−0.50", "–"] and (square.zmin, square.zmax) == (-1, 1)


def test_a_row_a_pair():
    rows = correlation_rows(FOUND)
    assert [row["rank correlation"] for row in rows] == [-0.5, None, 0.25]
    assert rows[0]["score"] == "FLAP" and rows[0]["other score"] == "C-FLAP"
