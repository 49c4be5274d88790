import math

import pytest

from engine.errors import HeadlightError
from engine.settings import Algorithm, Method, Score, Settings


def test_settings_can_be_compared_and_hashed():
    assert Settings(seed=3) == Settings(seed=3) and hash(Settings(seed=3)) == hash(Settings(seed=3))
    assert Settings(seed=3) != Settings(seed=4)


def test_the_same_run_among_all_heads_needs_no_mask():
    asked = Settings(seed=3, union="first+fixed", score=Score.FLAP)
    assert asked.densely() == Settings(seed=3, method=Method.DENSE)
    assert Settings(seed=3, sparsity=0.5).densely() == Settings(seed=3, method=Method.DENSE)
    merged = Settings(seed=3, sparsity=0.5, flap_sparsity=0.7, score=Score.MERGED)
    assert merged.densely() == Settings(seed=3, method=Method.DENSE)


def test_circuits_are_reported_on_prompts_they_were_not_found_on():
    assert len({3, Settings(seed=3).report_seed, Settings(seed=3).tuning_seed}) == 3


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"pairs": 0}, "at least 1 prompt pair"),
        ({"pairs": -3}, "at least 1 prompt pair"),
        ({"sparsity": 1.0}, "sparsity"),
        ({"sparsity": -0.1}, "sparsity"),
        ({"sparsity": math.nan}, "sparsity"),
        ({"flap_sparsity": 0.5}, "beside an automatic sparsity"),
        ({"flap_sparsity": 0.5, "sparsity": 0.5}, "beside the score contrastive_flap"),
        ({"flap_sparsity": 1.0, "sparsity": 0.5, "score": Score.MERGED}, "sparsity from 0"),
        ({"union": "first"}, "first\\+biggest"),
        ({"union": "first+last"}, "got 'first\\+last'"),
        ({"union": "first+fixed", "sparsity": 0.5}, "leave one of the two out"),
        ({"threshold_scale": -1.0}, "threshold scale"),
        ({"threshold_scale": math.inf}, "threshold scale"),
        ({"min_effect": 1.5}, "smallest effect"),
        ({"min_effect": math.nan}, "smallest effect"),
        ({"top_edges": 0}, "at least 1 edge"),
        ({"tolerance": -0.1}, "tolerance of 0 or more"),
        ({"tolerance": math.nan}, "tolerance of 0 or more"),
        ({"grid": True, "algorithm": Algorithm.ACDC}, "no grid with acdc"),
    ],
)
def test_values_outside_their_range_are_refused(wrong, says):
    with pytest.raises(HeadlightError, match=says):
        Settings(**wrong)
