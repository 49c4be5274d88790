"""The front and the choice, by hand."""

import math

import pytest

from engine.errors import HeadlightError
from engine.heads import Head
from engine.settings import Settings
from engine.tuning.results import Outcome, Seeds, Trial, choose


def trial(number, size, faithfulness, pruned=""):
    heads = tuple(Head(0, index) for index in range(size))
    outcome = None if pruned else Outcome(heads, size, faithfulness, 0.0, True)
    return Trial(number, Settings(), 9, math.nan, outcome, pruned, 1.0, 2.0)


def test_the_smallest_on_the_front_that_is_faithful_enough_is_taken():
    trials = [
        trial(0, 9, 0.95), trial(1, 4, 0.5), trial(2, 6, 0.75), trial(3, 6, 0.7), trial(4, 8, 0.75),
        trial(5, 0, 0, "no"),
    ]  # fmt: skip
    front, chosen, reason = choose(trials)
    assert [item.number for item in front] == [1, 2, 0]
    assert chosen.number == 2 and "smallest" in reason and "0.75" in reason


def test_where_none_is_faithful_enough_the_knee_is_taken():
    """From (2, .1) to (10, .7) the chord rises .075 a head: (4, .6) lies .35 above it, (6, .65) .25."""
    front, chosen, reason = choose([trial(0, 2, 0.1), trial(1, 4, 0.6), trial(2, 6, 0.65), trial(3, 10, 0.7)])
    assert len(front) == 4 and chosen.number == 1 and "knee" in reason


def test_a_front_without_a_knee_gives_its_most_faithful():
    front, chosen, reason = choose([trial(0, 2, 0.1), trial(1, 4, 0.6)])
    assert len(front) == 2 and chosen.number == 1 and "most faithful" in reason


def test_performance_decides_nothing():
    small = trial(0, 2, 0.1)
    assert choose([small, trial(1, 3, 0.8)])[1].number == 1 and small.performance == 0.0


def test_without_a_circuit_there_is_nothing_to_choose():
    with pytest.raises(HeadlightError, match="got none in 2: no head is important"):
        choose([trial(0, 0, 0, "no head is important"), trial(1, 0, 0, "no head is important")])


def test_a_pruned_trial_has_no_numbers():
    item = trial(0, 0, 0, "why")
    assert math.isnan(item.faithfulness) and math.isnan(item.performance) and item.size == item.edges == 0
    assert not item.estimated


def test_prompts_of_ones_own_are_not_fresh():
    assert Seeds(0, 2, 1).fresh and not Seeds(0, 0, 0).fresh
