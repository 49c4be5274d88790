"""Units done in this process: what each comes to, whatever ran before it and whatever others come to."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import Cancelled, HeadlightError
from engine.executor.choice import executor_for
from engine.executor.executor import STAGE, LocalExecutor, attempt
from engine.executor.perform import Bench, threads
from engine.executor.units import ModelUnit, SearchUnit
from engine.notes.journal import Chunk
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record.writing import discovery_json
from engine.settings import Settings
from engine.trust.draws import Plan
from engine.trust.self_check import forget_check, known_check
from engine.trust.stability import stability
from tests.engine.executor.records import timeless

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, sparsity=0.5)
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def bench(toy_model):
    return Bench(lambda *key: toy_model)


def test_a_search_is_the_run_that_discover_makes(bench, toy_model):
    forget_check(toy_model)
    with threads(1):
        whole = discover(toy_model, SETTINGS, Watcher(), prepare(toy_model, SETTINGS, Watcher()))
    record = bench.perform(SearchUnit(SETTINGS), Watcher()).values
    assert timeless(record) == timeless(discovery_json(toy_model, whole)) and record["complete"]
    assert record["circuit"]["heads"] == ["0.1", "1.2"]


def test_what_ran_before_changes_nothing(bench, toy_model):
    """Even the self-check, which a model passes once in a process, is that of the unit's own prompts."""
    other = SearchUnit(replace(SETTINGS, seed=5))
    forget_check(toy_model)
    first = bench.perform(other, Watcher()).values
    bench.perform(SearchUnit(SETTINGS), Watcher())
    assert known_check(toy_model) is not None
    assert timeless(bench.perform(other, Watcher()).values) == timeless(first)
    assert first["cost"]["self-check"]["flops"] > 0


def test_a_model_is_told_by_its_fingerprint_and_another_refused(bench, toy_model):
    assert bench.perform(ModelUnit(SETTINGS), Watcher()).values == {
        "fingerprint": toy_model.fingerprint, "n_layers": 2, "n_heads": 12,
    }  # fmt: skip
    with pytest.raises(HeadlightError, match=rf"toy-induction here \({toy_model.fingerprint}\).*\(0000\)"):
        bench.perform(SearchUnit(SETTINGS, fingerprint="0000"), Watcher())


def test_one_model_is_kept_and_gives_way_to_the_next(toy_model):
    loaded = []
    bench = Bench(lambda *key: loaded.append(key) or toy_model)
    for name in ("a", "a", "b", "a"):
        bench.perform(ModelUnit(replace(SETTINGS, model=name)), Watcher())
    assert loaded == [("a", "cpu", "auto"), ("b", "cpu", "auto"), ("a", "cpu", "auto")]


def test_torch_has_the_units_threads_within_it_and_its_own_after(toy_model):
    seen, before = [], torch.get_num_threads()

    class Spy(Watcher):
        def report(self, stage, done, total):
            seen.append(torch.get_num_threads())

    Bench(lambda *key: toy_model).perform(SearchUnit(SETTINGS, threads=3), Spy())
    assert set(seen) == {3} and torch.get_num_threads() == before


def test_stability_by_units_is_stability(bench, toy_model):
    """Every kind of draw: the same circuits, bit by bit, and the same faithfulness."""
    prepared = prepare(toy_model, SETTINGS, Watcher())
    plan = Plan(resamples=2, seeds=1)
    here = stability(prepared, SETTINGS, plan, Watcher())
    units = stability(prepared, SETTINGS, plan, Watcher(), Backwards(bench.perform))
    assert repr(units.refinds) == repr(here.refinds) and len(units.refinds) > 3  # repr: NaN is not itself
    assert (units.report_seed, units.n, units.fresh, units.overall) == (1, 8, True, here.overall)
    assert units.cost[0].flops == here.cost[0].flops and units.complete


def test_rows_of_a_persons_own_go_with_their_units(bench, toy_model):
    prompts = prepare(toy_model, SETTINGS, Watcher()).prompts
    own = replace(prompts, pairs=tuple(replace(p, template_group=i % 2) for i, p in enumerate(prompts.pairs[:6])))
    prepared = prepare(toy_model, SETTINGS, Watcher(), own)
    plan = Plan(resamples=1, seeds=0)
    here = stability(prepared, prepared.settings, plan, Watcher())
    units = stability(prepared, prepared.settings, plan, Watcher(), LocalExecutor(bench.perform))
    assert repr(units.refinds) == repr(here.refinds) and len(here.refinds) == 3
    assert (units.report_seed, units.n, units.fresh) == (0, 6, False)


class Backwards(LocalExecutor):
    """Finishes in another order than it was asked in."""

    def run(self, units, watcher):
        return super().run(list(reversed(units)), watcher)


@pytest.mark.parametrize("error", [HeadlightError("no such task"), ValueError("a bug"), MemoryError()])
def test_one_units_failure_is_its_own(error):
    bad = SearchUnit(replace(SETTINGS, seed=1))

    def perform(unit, watcher):
        if unit == bad:
            raise error
        return Chunk({"seed": unit.settings.seed})

    units = [SearchUnit(replace(SETTINGS, seed=seed)) for seed in range(3)]
    one, two, three = LocalExecutor(perform).run(units, Watcher())
    assert [one.unit, two.unit, three.unit] == units and two.result is None
    assert one.result.values == {"seed": 0} and three.result.values == {"seed": 2} and one.error == ""
    if isinstance(error, HeadlightError):
        assert two.error == "no such task"
    else:
        assert f"{type(error).__name__}: {error} (line" in two.error and "of perform)" in two.error


def test_a_failed_draw_is_a_run_that_could_not_be_done(bench, toy_model):
    prepared = prepare(toy_model, SETTINGS, Watcher())

    def perform(unit, watcher):
        if unit.label == "resample 2":
            raise HeadlightError("no room")
        return bench.perform(unit, watcher)

    done = stability(prepared, SETTINGS, Plan(2, 0, templates=False), Watcher(), LocalExecutor(perform))
    assert done.complete and [refind.problem for refind in done.refinds] == ["", "no room"]


class Stopping(Watcher):
    """Stops once so many units are reported."""

    def __init__(self, most):
        self.most, self.told = most, []

    def report(self, stage, done, total):
        self.told.append((stage, done, total))

    def cancelled(self):
        return bool(self.told) and self.told[-1][1] >= self.most


def before_the_stop(executor, units, watcher):
    """The outcomes until the run is stopped."""
    try:
        yield from executor.run(units, watcher)
    except Cancelled:
        return


def test_stopped_what_was_given_back_stands(bench):
    units = [SearchUnit(replace(SETTINGS, seed=seed)) for seed in range(3)]
    watcher = Stopping(1.3)
    outcomes = list(before_the_stop(LocalExecutor(bench.perform), units, watcher))
    assert [outcome.unit for outcome in outcomes] == units[:1]
    shares = [done for stage, done, total in watcher.told if (stage, total) == (STAGE, 3)]
    assert len(shares) == len(watcher.told) and shares == sorted(shares) and 1.3 <= shares[-1] < 2


def test_a_cancelled_unit_has_no_outcome():
    def perform(unit, watcher):
        raise Cancelled

    with pytest.raises(Cancelled):
        attempt(ModelUnit(SETTINGS), perform, Watcher())


def test_nothing_imports_ray_unless_an_address_is_given():
    code = (
        "import sys, pkgutil, importlib, engine.executor, engine.sweep, engine.cli\n"
        "for package in (engine.executor, engine.sweep, engine.cli):\n"
        "    for each in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(each.name)\n"
        "from engine.executor.choice import executor_for\n"
        "assert executor_for(None).workers == 1\n"
        "print('ray' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "False"
    assert isinstance(executor_for(None), LocalExecutor)
