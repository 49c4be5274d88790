"""Durations in words."""

import pytest

from engine.cost.duration import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "under 1 s"), (0.6, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (125, "2 min 5 s"), (4200, "1 h 10 min")],
)
def test_seconds_are_said_in_words(seconds, words):
    assert duration(seconds) == words
