"""Runs side by side: shares by hand, and what makes them comparable."""

import math
from dataclasses import replace

import pytest

from engine.ablation import Ablation
from engine.circuit import Circuit, Edge, Input
from engine.cost.ledger import CostRow
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.heads import Head
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Algorithm, Method, Settings
from engine.views.contest_table import Nearness, compare_algorithms

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4, sparsity=0.5)
A, B, C, D = Head(0, 0), Head(0, 1), Head(0, 2), Head(1, 0)


def circuit(*edges: tuple[Head, Head | None, Input]) -> Circuit:
    heads = tuple(sorted({sender for sender, _, _ in edges}))
    return Circuit(heads, tuple(Edge(*edge, effect=-0.5) for edge in edges), 2, 12)


@pytest.fixture(scope="module")
def run(toy_model) -> Discovery:
    return discover(toy_model, SETTINGS, Watcher(), prepare(toy_model, SETTINGS, Watcher()))


def test_shares_by_hand(run):
    to_logits = [(head, None, Input.LOGITS) for head in (A, B, C, D)]
    standard = replace(run, circuit=circuit(*to_logits, (A, D, Input.Q)))
    eap = replace(SETTINGS, algorithm=Algorithm.EAP, method=Method.DENSE, sparsity=None)
    other = replace(run, settings=eap, circuit=circuit(to_logits[0], to_logits[3], (A, D, Input.K)))
    costs = CostRow("a", 1.5, 1.0, 2e9), CostRow("self-check", 9.0, 1.0, 9e9), CostRow("b", 0.5, 1.0, 1e9)
    other = replace(other, cost=costs)
    [row] = compare_algorithms([other], standard)
    assert (row.algorithm, row.method, row.size, row.edge_count) == (Algorithm.EAP, Method.DENSE, 2, 3)
    assert row.heads == Nearness(1.0, 0.5, 0.5, 2)
    assert row.edges == Nearness(2 / 3, 2 / 5, 2 / 6, 2)
    assert (row.gigaflops, row.seconds, row.candidates) == (3.0, 2.0, int(run.keep.sum()))
    seen = run.verification
    assert seen is not None
    assert (row.performance, row.faithfulness, row.n, row.seed, row.ablation, row.complete) == (
        seen.performance, seen.faithfulness, 4, 1, Ablation.MEAN, True
    )  # fmt: skip
    assert row.interval == seen.interval


def test_a_run_is_all_it_is_and_nothing_without_a_standard(run):
    [itself] = compare_algorithms([run], run)
    assert itself.heads == Nearness(1.0, 1.0, 1.0, len(run.circuit.heads))
    assert itself.edges == Nearness(1.0, 1.0, 1.0, len(run.circuit.edges))
    [alone] = compare_algorithms([run], None)
    assert alone.heads is None and alone.edges is None
    assert compare_algorithms([], run) == ()


def test_a_stopped_run_has_no_truth_and_an_empty_circuit_no_precision(run):
    stopped = replace(run, verification=None, complete=False, circuit=circuit())
    [row] = compare_algorithms([stopped], run)
    assert math.isnan(row.performance) and math.isnan(row.faithfulness) and not row.complete
    assert (row.n, row.seed, row.ablation, row.interval) == (0, None, None, None)
    assert row.heads is not None and math.isnan(row.heads.precision) and row.heads.recall == 0.0


@pytest.mark.parametrize("changes", [{"seed": 3}, {"pairs": 6}])
def test_runs_on_other_prompts_are_not_compared(toy_model, run, changes):
    settings = replace(SETTINGS, **changes)
    other = discover(toy_model, settings, Watcher(), prepare(toy_model, settings, Watcher()))
    with pytest.raises(HeadlightError, match=r"one model on the same prompts, got toy-induction on .*seed 0"):
        compare_algorithms([run], other)
