"""The whole study on the toy model: seeded, kept, continued, stopped, refused."""

import math
from dataclasses import replace

import pytest

from engine.errors import Cancelled, HeadlightError
from engine.models.cache import CACHE_VARIABLE
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Algorithm, Method, Mode, Score, Settings
from engine.tuning.bench import Bench
from engine.tuning.place import study_name, study_path
from engine.tuning.space import Space
from engine.tuning.study import kept_trials, opened
from engine.tuning.tune import ACCEPTABLE, SLACK, hopeless, tune, with_scores
from tests.engine.random_prompts import random_prompts
from tests.engine.tuning.test_results import trial

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4)
MANY = 14  # past the trials at random


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def same(trial):
    """All of a trial but the time it took and what sharing saved it."""
    return replace(trial, seconds=0.0, flops=0.0)


def numbers(tuning):
    return [str(same(trial)) for trial in tuning.trials]


class StopAfter(Watcher):
    """Asks to stop once so many trials are done."""

    def __init__(self, trials):
        self.trials, self.stop, self.reports = trials, False, []

    def report(self, stage, done, total):
        self.reports.append((stage, done, total))
        self.stop |= done >= self.trials

    def cancelled(self):
        return self.stop


def test_the_choice_is_the_known_circuit(prepared, toy_model):
    tuning = tune(prepared, SETTINGS, MANY)
    assert len(tuning.trials) == MANY and tuning.complete and tuning.kept == 0
    assert [str(head) for head in tuning.chosen.outcome.heads] == ["0.1", "1.2"]
    assert not tuning.chosen.estimated and tuning.chosen in tuning.front
    assert (tuning.seeds.search, tuning.seeds.report, tuning.seeds.held_out) == (0, 1, 2) and tuning.seeds.fresh
    [cost] = tuning.cost
    assert cost.stage == "tuning" and cost.flops == sum(trial.flops for trial in tuning.trials) > 0
    run = discover(toy_model, tuning.chosen.settings, Watcher(), prepared)
    assert run.circuit.heads == tuning.chosen.outcome.heads and run.verification.seed == 1


def test_one_seed_gives_one_study_and_another_seed_another(prepared, toy_model, cache):
    first = tune(prepared, SETTINGS, MANY)
    study_path(study_name(prepared, SETTINGS, Space())).unlink()
    assert numbers(tune(prepared, SETTINGS, MANY)) == numbers(first)
    other = replace(SETTINGS, seed=1)
    assert numbers(tune(prepare(toy_model, other, Watcher()), other, MANY)) != numbers(first)


def test_a_study_continued_is_the_study_in_one_go(prepared):
    whole = tune(prepared, SETTINGS, MANY)
    study_path(study_name(prepared, SETTINGS, Space())).unlink()
    tune(prepared, SETTINGS, 3)
    with pytest.raises(ZeroDivisionError):  # a crash within a trial
        crash(prepared)
    path = study_path(study_name(prepared, SETTINGS, Space()))
    with path.open("ab") as file:
        file.write(b'{"op_code": 5, "worker')  # the write was cut off
    assert kept_trials(path.stem) == 3
    continued = tune(prepared, SETTINGS, MANY)
    assert numbers(continued) == numbers(whole) and continued.kept == 3


def test_a_trial_set_down_but_never_tried_is_no_part_of_the_study(prepared):
    whole = tune(prepared, SETTINGS, 5)
    name = study_name(prepared, SETTINGS, Space())
    study_path(name).unlink()
    tune(prepared, SETTINGS, 2)
    with opened(name, SETTINGS, Space()) as study:
        study._study.enqueue_trial(Space().usual())  # as before the first trial, and then it crashed
    assert numbers(tune(prepared, SETTINGS, 5)) == numbers(whole)


def crash(prepared):
    with opened(study_name(prepared, SETTINGS, Space()), SETTINGS, Space()) as study:
        study.add(3, lambda number, settings: 1 / 0)


def test_trials_that_are_there_already_cost_nothing(prepared):
    watcher = StopAfter(math.inf)
    more = tune(prepared, SETTINGS, 6)
    again = tune(prepared, SETTINGS, 6, watcher)
    assert numbers(again) == numbers(more) and again.kept == 6 and again.cost == more.cost
    assert watcher.reports == [("tuning", 6, 6)]
    fewer = tune(prepared, SETTINGS, 4)
    assert numbers(fewer)[1:] == numbers(more)[1:4] and fewer.complete


def test_stopped_what_is_there_comes_back_and_is_kept(prepared):
    stopped = tune(prepared, SETTINGS, MANY, StopAfter(3))
    assert not stopped.complete and len(stopped.trials) == 3 and stopped.chosen in stopped.trials
    assert tune(prepared, SETTINGS, MANY).kept == 3
    with pytest.raises(Cancelled):
        tune(prepared, replace(SETTINGS, mode=Mode.EXACT), MANY, StopAfter(0))


def test_progress_counts_trials_and_their_parts(prepared):
    watcher = StopAfter(math.inf)
    tune(prepared, SETTINGS, 4, watcher)
    done = [share for stage, share, total in watcher.reports if (stage, total) == ("tuning", 4)]
    assert done[0] == 0 and done[-1] == 4 and {1.0, 2.0, 3.0} <= set(done) and any(share % 1 for share in done)


def test_a_mask_is_hopeless_only_once_a_circuit_was_acceptable():
    low, high = trial(0, 3, ACCEPTABLE - 0.01), trial(1, 3, ACCEPTABLE)
    bar = ACCEPTABLE - SLACK
    assert not hopeless(bar - 0.01, []) and not hopeless(bar - 0.01, [low, trial(2, 0, 0, "pruned")])
    assert hopeless(bar - 0.01, [low, high]) and not hopeless(bar, [low, high])
    assert not hopeless(math.nan, [high])


def test_hopeless_trials_are_not_searched(prepared, monkeypatch):
    monkeypatch.setattr("engine.tuning.tune.ACCEPTABLE", 0.9)
    tuning = tune(prepared, SETTINGS, MANY)
    masks = [trial for trial in tuning.trials if "whole mask" in trial.pruned]
    assert masks and all(trial.mask_faithfulness < 0.8 and math.isnan(trial.faithfulness) for trial in masks)
    empty = [trial for trial in tuning.trials if "no head" in trial.pruned]
    assert empty and tuning.pruned == len(masks) + len(empty)
    for item in empty:
        run = discover(prepared.model, item.settings, Watcher(), prepared)
        assert run.circuit.heads == ()


def test_the_same_mask_and_thresholds_are_searched_once(prepared, monkeypatch):
    searched, find = [], Bench.find
    monkeypatch.setattr(Bench, "find", lambda self, *more: searched.append(more) or find(self, *more))
    space = Space((Score.FLAP,), sparsity=(0.75, 0.75), scale=(2.0, 2.0), min_effect=(0.01, 0.01))
    tuning = tune(prepared, SETTINGS, 3, space=space)
    first, *others = tuning.trials
    assert len(searched) == 1 and first.flops > 0
    assert all(item.flops == 0 and item.outcome.heads == first.outcome.heads for item in others)


def test_scores_that_take_a_backward_pass_are_measured_and_booked_once(prepared, toy_model):
    space = Space((Score.POSITION_ATTRIBUTION, Score.RANK_SUM))
    tuning = tune(prepared, SETTINGS, 4, space=space)
    assert [row.stage for row in tuning.cost] == ["attribution", "tuning"] and tuning.cost[0].flops > 0
    assert {item.settings.score for item in tuning.trials} <= set(space.scores)
    scored = with_scores(prepared, space, Watcher())
    run = discover(toy_model, tuning.chosen.settings, Watcher(), scored, tuning=tuning)
    stages = [row.stage for row in run.cost]
    assert stages.count("attribution") == stages.count("tuning") == 1
    assert run.circuit.heads == tuning.chosen.outcome.heads


def test_exactly_searched_trials_need_no_second_search(prepared):
    tuning = tune(prepared, replace(SETTINGS, mode=Mode.EXACT), 5)
    assert not any(item.estimated for item in tuning.trials)


def test_rows_of_ones_own_have_no_other_prompts(tiny_deep_model):
    prepared = prepare(tiny_deep_model, SETTINGS, Watcher(), random_prompts(n=4))
    tuning = tune(prepared, prepared.settings, 5)
    assert not tuning.seeds.fresh and tuning.n == 4


@pytest.mark.parametrize(
    ("settings", "trials", "says"),
    [
        (SETTINGS, 0, "Expected 1 to 1,000 trials, got 0"),
        (SETTINGS, 1001, "got 1,001"),
        (replace(SETTINGS, method=Method.DENSE), 5, "Take the method app"),
        (replace(SETTINGS, algorithm=Algorithm.EAP), 5, "Take the algorithm path_patching"),
    ],
)
def test_what_cannot_be_tuned_is_refused(prepared, settings, trials, says):
    with pytest.raises(HeadlightError, match=says):
        tune(prepared, settings, trials)


def test_a_folder_that_cannot_be_written_is_named(prepared, cache):
    (cache / "tuning").write_text("a file where the folder should be")
    with pytest.raises(HeadlightError, match="cannot be written"):
        tune(prepared, SETTINGS, 2)


def test_two_do_not_write_one_study(prepared):
    with (
        opened(study_name(prepared, SETTINGS, Space()), SETTINGS, Space()),
        pytest.raises(HeadlightError, match="another process"),
    ):
        tune(prepared, SETTINGS, 2)


def test_all_that_numbers_depend_on_names_the_study(prepared, toy_model):
    name = study_name(prepared, SETTINGS, Space())
    assert name == study_name(prepared, SETTINGS, Space())
    others = {
        study_name(prepared, replace(SETTINGS, mode=Mode.EXACT), Space()),
        study_name(prepared, SETTINGS, Space((Score.FLAP,))),
        study_name(prepare(toy_model, replace(SETTINGS, pairs=5), Watcher()), replace(SETTINGS, pairs=5), Space()),
    }
    assert len(others) == 3 and name not in others
