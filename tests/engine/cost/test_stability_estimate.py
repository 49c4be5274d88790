"""What finding again is said to take: the run's own stages, as often as there are draws."""

from dataclasses import replace

import pytest

from engine.cost.stability_estimate import seconds_again, stability_seconds
from engine.errors import HeadlightError
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Settings
from engine.trust.draws import Plan
from engine.trust.self_tests import STAGE as SELF_TESTS

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4)


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


def test_a_run_s_own_seconds_without_what_is_done_once(toy_model, prepared):
    found = discover(toy_model, SETTINGS, Watcher(), prepared)
    spared = sum(row.seconds for row in found.cost if row.stage in (SELF_TESTS, "self-check", "look ahead"))
    once = sum(row.seconds for row in found.cost) - spared
    assert spared > 0 and seconds_again(found.cost) == pytest.approx(once)
    assert stability_seconds(prepared, SETTINGS, Plan(3, 2, False), found) == (5, pytest.approx(5 * once))


def test_without_a_run_by_the_estimate_of_one(prepared):
    runs, seconds = stability_seconds(prepared, SETTINGS, Plan(2, 0, False), None)
    twice = stability_seconds(prepared, SETTINGS, Plan(4, 0, False), None)
    assert runs == 2 and seconds > 0 and twice == (4, pytest.approx(2 * seconds))


def test_nothing_to_change_is_said(prepared):
    with pytest.raises(HeadlightError, match="nothing to find the circuit again on"):
        stability_seconds(replace(prepared, custom=True), SETTINGS, Plan(0, 3, False), None)
