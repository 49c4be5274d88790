"""Looking ahead: what it says about a run, and what it costs."""

from dataclasses import replace

import pytest
import torch

from engine.cost.estimate import estimate_run
from engine.cost.pilot import STAGE, is_worthwhile, look_ahead
from engine.errors import Cancelled
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.pruning.candidates import keep_of
from engine.search.path_patching import search_cost
from engine.settings import Method, Mode, Settings

SETTINGS = Settings(
    model="toy-induction", task="induction-random", pairs=16, method=Method.DENSE, threshold_scale=1.0, min_effect=0.01
)


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("mode", Mode)
def test_a_run_is_predicted_closely_by_looking_ahead(toy_model, prepared, mode, grid):
    settings = replace(SETTINGS, mode=mode, grid=grid)
    found = discover(toy_model, settings, Watcher(), prepared)
    predicted, measured = search_cost(found.predicted).flops, search_cost(found.cost).flops
    assert predicted == pytest.approx(measured, rel=0.5 if grid else 0.3)
    looked = [row for row in found.cost if row.stage == STAGE]
    assert len(looked) == 1 and looked[0].flops > 0 and looked[0].seconds > 0


def test_a_pilot_at_hand_is_not_flown_again(toy_model, prepared):
    keep = keep_of(prepared, SETTINGS, None)
    pilot = look_ahead(prepared, keep, SETTINGS, Watcher())
    found = discover(toy_model, SETTINGS, Watcher(), prepared, pilot=pilot)
    assert [row for row in found.cost if row.stage == STAGE] == [pilot.cost]
    assert found.predicted == estimate_run(prepared, keep, SETTINGS, pilot).likely


def test_with_few_pairs_there_is_no_point_in_looking_ahead(toy_model):
    few = prepare(toy_model, replace(SETTINGS, pairs=4), Watcher())
    assert not is_worthwhile(few, SETTINGS)
    found = discover(toy_model, replace(SETTINGS, pairs=4), Watcher(), few)
    assert STAGE not in [row.stage for row in (*found.cost, *found.predicted)] and found.predicted


def test_it_can_be_stopped(prepared):
    class Stop(Watcher):
        def cancelled(self):
            return True

    with pytest.raises(Cancelled):
        look_ahead(prepared, torch.ones_like(prepared.scores.flap, dtype=torch.bool), SETTINGS, Stop())


def test_what_is_predicted_is_told_before_the_search(toy_model, prepared):
    told = []

    class Listening(Watcher):
        def predicted(self, rows):
            told.append(rows)

        def found(self, circuit):
            assert told

    found = discover(toy_model, SETTINGS, Listening(), prepared)
    assert told == [found.predicted]
