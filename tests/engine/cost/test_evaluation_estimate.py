"""What is predicted of an evaluation against what it books."""

from dataclasses import replace

import pytest

from engine.circuit import Circuit
from engine.cost.evaluation_estimate import evaluation_flops, evaluation_seconds
from engine.evaluation.evaluate import evaluate
from engine.evaluation.plan import Plan
from engine.heads import Head
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Settings
from tests.engine.random_prompts import random_prompts

PLAN = Plan(draws=20, random_circuits=4)


def booked(prepared, circuit, seed):
    return sum(row.flops for row in evaluate(prepared, circuit, seed, Watcher(), PLAN).cost)


@pytest.mark.parametrize("heads", [(Head(0, 1), Head(1, 2)), (), (Head(0, 3),)])
def test_the_toy_model_books_what_was_predicted(toy_model, heads):
    settings = Settings(model="toy-induction", task="induction-random", pairs=4, seed=0)
    prepared, circuit = prepare(toy_model, settings, Watcher()), Circuit(heads, (), 2, 12)
    for seed in (0, 1):  # the prompts at hand, and others as long
        predicted = evaluation_flops(prepared, circuit, seed, PLAN)
        assert predicted == pytest.approx(booked(prepared, circuit, seed), rel=1e-3)
    slower = replace(prepared, flops_per_second=1e6)
    assert evaluation_seconds(slower, circuit, 1, PLAN) == pytest.approx(
        evaluation_flops(prepared, circuit, 1, PLAN) / 0.6e6
    )


def test_prompts_of_one_s_own_are_run_once(tiny_deep_model):
    model = tiny_deep_model
    prepared = prepare(model, Settings(model="tiny", task="ioi"), Watcher(), random_prompts(n=3))
    circuit = Circuit((Head(1, 0), Head(4, 3)), (), model.n_layers, model.n_heads)
    assert evaluation_flops(prepared, circuit, 5, PLAN) == pytest.approx(booked(prepared, circuit, 5), rel=1e-3)
