"""The search step by step: what each step added, by hand and against the walk itself."""

from __future__ import annotations

import pytest
import torch

from engine.circuit import Edge, Input
from engine.cost.ledger import CostRow
from engine.heads import Head
from engine.pipeline import discover
from engine.progress import Watcher
from engine.record.writing import step_json
from engine.search.path_patching import LOGITS_THRESHOLD_SCALE, SearchStep, Thresholds, search, search_all, search_cost
from engine.search.trail import Outcome, circuit_until, searched_at, trail_of
from engine.settings import Method, Mode, Settings
from tests.engine.search.test_path_patching import MadeUp, one_by_one

NAN, INF = float("nan"), float("inf")


def a_step(
    receivers: tuple[Head, ...], entry: Input, effects: list[list[float]], important: tuple[Head, ...] = (),
    limit: float = 0.3, guessed: tuple[Head, ...] = (),
) -> SearchStep:  # fmt: skip
    estimated = torch.zeros(3, 2, dtype=torch.bool)
    for head in guessed:
        estimated[head.layer, head.index] = True
    limits = torch.full((3,), limit)
    if receivers:
        limits[receivers[0].layer :] = INF  # as the rule has it: nobody there can send
    return SearchStep(receivers, entry, torch.tensor(effects), estimated, limits, important)


STEPS = (
    a_step((), Input.LOGITS, [[0.0, 0.1], [0.0, NAN], [-0.5, -0.4]], (Head(2, 0), Head(2, 1))),
    a_step((Head(2, 0),), Input.Q, [[0.0, 0.1], [-0.6, NAN], [NAN, NAN]], (Head(1, 0),), guessed=(Head(0, 0),)),
    a_step((Head(2, 1),), Input.Q, [[0.2, 0.1], [0.1, NAN], [NAN, NAN]]),
    a_step((Head(2, 0), Head(2, 1)), Input.K, [[-0.9, 0.1], [-0.7, NAN], [NAN, NAN]], (Head(0, 0), Head(1, 0))),
    a_step((Head(1, 0),), Input.Q, [[0.001, NAN], [NAN, NAN], [NAN, NAN]], limit=INF),
    a_step((Head(1, 0),), Input.V, [[NAN, NAN], [NAN, NAN], [NAN, NAN]], limit=INF),
)


def test_each_step_says_what_it_added_and_what_there_was_by_then():
    trail = trail_of(STEPS)
    assert [station.number for station in trail] == [1, 2, 3, 4, 5, 6]
    assert [station.heads for station in trail] == [2, 3, 3, 4, 4, 4]
    assert [station.edges for station in trail] == [2, 3, 3, 7, 7, 7]
    for station in trail:
        circuit = circuit_until(trail, station.number, 3, 2)
        assert (len(circuit.heads), len(circuit.edges)) == (station.heads, station.edges)
    assert circuit_until(trail, 1, 3, 2).heads == (Head(2, 0), Head(2, 1))
    assert [station.new_heads for station in trail[:4]] == [
        (Head(2, 0), Head(2, 1)), (Head(1, 0),), (), (Head(0, 0),)
    ]  # fmt: skip
    assert trail[3].new_edges == tuple(
        Edge(sender, receiver, Input.K, pytest.approx(effect), shared=True)
        for sender, effect in ((Head(0, 0), -0.9), (Head(1, 0), -0.7))
        for receiver in (Head(2, 0), Head(2, 1))
    )


def test_paths_are_counted_by_their_kind():
    trail = trail_of(STEPS)
    assert [(station.measured, station.guessed) for station in trail] == [
        (5, 0), (3, 1), (3, 0), (3, 0), (1, 0), (0, 0),
    ]  # fmt: skip
    assert [(station.exact, station.estimated) for station in trail] == [
        (5, 0), (7, 1), (10, 1), (13, 1), (14, 1), (14, 1)
    ]  # fmt: skip


def test_a_step_says_how_it_ended():
    assert [station.outcome for station in trail_of(STEPS)] == [
        Outcome.KEPT, Outcome.KEPT, Outcome.BELOW, Outcome.KEPT, Outcome.NEGLIGIBLE, Outcome.UNMEASURED
    ]  # fmt: skip


def test_receivers_of_a_layer_belong_together_and_are_found_by_head():
    trail = trail_of(STEPS)
    assert [station.together for station in trail] == [(1, 1), (2, 4), (2, 4), (2, 4), (5, 6), (5, 6)]
    assert [station.receiver for station in trail] == ["logits", "2.0.q", "2.1.q", "2.0+2.1.k", "1.0.q", "1.0.v"]
    assert searched_at(trail) == {Head(2, 0): 2, Head(2, 1): 3, Head(1, 0): 5}


def test_no_steps_no_way():
    assert trail_of(()) == () and searched_at(()) == {}


@pytest.mark.parametrize("group", [1, 3])
def test_the_way_ends_at_the_circuit_found(group):
    found = search(one_by_one(MadeUp(2, 7, 6, group)), 7, 6, group, Thresholds(1.0, 0.01), Watcher())
    trail = trail_of(found.steps)
    assert circuit_until(trail, len(trail), 7, 6) == found.circuit and found.circuit.edges
    assert sum(len(station.new_heads) for station in trail) == len(found.circuit.heads)
    assert sum(len(station.new_edges) for station in trail) == len(found.circuit.edges)


def test_steps_carry_what_had_been_booked_after_their_layer():
    booked = [CostRow("path patching", float(n), n / 2, 10.0 * n) for n in range(1, 99)]
    rows = iter(booked)
    thresholds = [Thresholds(LOGITS_THRESHOLD_SCALE, 0.01), Thresholds(1.0, 0.01)]
    first, second = search_all(
        one_by_one(MadeUp(2, 7, 6, 1)), 7, 6, 1, thresholds, Watcher(), lambda: next(rows)
    )  # fmt: skip
    for result in (first, second):
        layers = [step.receivers[0].layer if step.receivers else 7 for step in result.steps]
        by_layer = {layer: {step.spent for step, at in zip(result.steps, layers, strict=True) if at == layer}
                    for layer in layers}  # fmt: skip
        assert all(len(spent) == 1 for spent in by_layer.values())
        assert first.steps[0].spent == second.steps[0].spent == booked[0]
        seconds = [step.spent.seconds for step in result.steps]
        assert seconds == sorted(seconds)


class Notes(Watcher):
    def __init__(self) -> None:
        self.seen = []

    def walked(self, steps) -> None:
        self.seen.append(steps)


def test_the_steps_are_told_while_they_are_found():
    notes = Notes()
    found = search(one_by_one(MadeUp(2, 7, 6, 1)), 7, 6, 1, Thresholds(1.0, 0.01), notes)
    assert notes.seen[-1] == found.steps and len(notes.seen[0]) == 1
    assert all(later[: len(earlier)] == earlier for earlier, later in zip(notes.seen, notes.seen[1:], strict=False))


@pytest.mark.parametrize("mode", Mode)
def test_a_run_ends_where_its_ledger_does(toy_model, mode):
    """What the last step had spent is what the ledger says of the whole search; nothing is counted twice."""
    settings = Settings(
        model="toy-induction", task="induction-random", pairs=4, method=Method.DENSE, mode=mode, min_effect=0.0001
    )
    found = discover(toy_model, settings, Watcher())
    total = search_cost(found.cost)
    spent = [step.spent for step in found.steps]
    assert spent[-1] == total and spent[0].flops < total.flops
    assert [row.flops for row in spent] == sorted(row.flops for row in spent)
    assert step_json(found.steps[-1])["spent"] == {
        "seconds": total.seconds, "forward_passes": total.forward_passes, "flops": total.flops
    }  # fmt: skip
    assert step_json(STEPS[0])["spent"] is None
