"""The grid: every point's own search, the choice among them, and no circuit that rests on estimates."""

from dataclasses import replace

import pytest

from engine.circuit import Circuit
from engine.heads import Head, mask_of
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.search.grid import GRID, grid_of, with_exact
from engine.search.path_patching import SearchResult
from engine.settings import Method, Mode, Settings

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4, method=Method.DENSE, grid=True)


def result_with(size: int) -> SearchResult:
    heads = tuple(Head(0, index) for index in range(size))
    return SearchResult(Circuit(heads, (), 2, 40), (), complete=True)


def test_the_smallest_good_circuit_is_taken_and_searched_again_until_it_is_exact():
    """Of 80 heads a quarter is 20. By estimates 5 heads do; exactly those turn out to be 30, so 7 are next."""
    sizes = [40, 9, 5, 7] + [50] * 12
    grid = grid_of([result_with(size) for size in sizes], lambda heads: 80.0 if len(heads) >= 5 else 0.0, 80, True)
    assert (grid.taken.size, grid.taken.thresholds, grid.taken.estimated) == (5, GRID[2], True)
    grid = with_exact(grid, result_with(30), lambda heads: 99.0, 80)
    assert (grid.points[2].size, grid.points[2].estimated) == (30, False)
    assert (grid.taken.size, grid.taken.thresholds, grid.taken.estimated) == (7, GRID[3], True)
    grid = with_exact(grid, result_with(7), lambda heads: 80.0, 80)
    assert grid.taken.thresholds == GRID[3] and not grid.taken.estimated and "smallest circuit" in grid.reason


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


def test_exactly_each_point_is_what_its_thresholds_give_alone(toy_model, prepared):
    found = discover(toy_model, replace(SETTINGS, mode=Mode.EXACT), Watcher(), prepared)
    assert found.grid is not None and len(found.grid.points) == 16
    assert not any(point.estimated for point in found.grid.points)
    for point in found.grid.points[::5]:
        alone = replace(
            SETTINGS, mode=Mode.EXACT, grid=False,
            threshold_scale=point.thresholds.scale, min_effect=point.thresholds.min_effect,
        )  # fmt: skip
        circuit = discover(toy_model, alone, Watcher(), prepared).circuit
        assert (len(circuit.heads), len(circuit.edges)) == (point.size, point.edges)


def test_screened_the_circuit_taken_is_the_one_its_thresholds_give(toy_model, prepared):
    found = discover(toy_model, SETTINGS, Watcher(), prepared)
    assert found.grid is not None and not found.grid.taken.estimated
    assert any(point.estimated for point in found.grid.points)
    alone = replace(
        SETTINGS, grid=False, threshold_scale=found.thresholds.scale, min_effect=found.thresholds.min_effect
    )
    expected = discover(toy_model, alone, Watcher(), prepared)
    assert found.circuit == expected.circuit and found.screening == expected.screening
    for step in found.steps:
        assert not any(step.estimated[head.layer, head.index] for head in step.important)


def test_a_second_walk_finds_the_streams_of_the_first(toy_model, prepared):
    def sweep_of(settings):
        found = discover(toy_model, settings, Watcher(), prepared)
        return next(row.flops for row in found.cost if row.stage == "sender sweep")

    assert sweep_of(SETTINGS) <= sweep_of(replace(SETTINGS, grid=False, threshold_scale=1.0, min_effect=0.001)) * 1.001


def test_stopped_before_any_circuit_is_exact_none_is_shown(toy_model, prepared):
    class StopInGrid(Watcher):
        reached, shown = False, False

        def report(self, stage, done, total):
            self.reached |= stage == "grid" and done > 0.5

        def found(self, circuit):
            self.shown = True

        def cancelled(self):
            return self.reached

    watcher = StopInGrid()
    found = discover(toy_model, SETTINGS, watcher, prepared)
    assert not found.complete and found.grid is None and found.circuit.heads == () and not watcher.shown


def test_performance_is_measured_once_for_each_set_of_heads(toy_model, prepared, monkeypatch):
    from engine.ablation import Ablator

    asked = []
    by_pair = Ablator.by_pair
    monkeypatch.setattr(Ablator, "by_pair", lambda self, keep: asked.append(keep) or by_pair(self, keep))
    found = discover(toy_model, replace(SETTINGS, mode=Mode.EXACT), Watcher(), prepared)
    verified = mask_of(found.circuit.heads, 2, toy_model.n_heads)
    sets = {tuple(map(tuple, keep.tolist())) for keep in asked}
    assert len(asked) == len(sets) + 1 and bool((asked[-1] == verified).all())
