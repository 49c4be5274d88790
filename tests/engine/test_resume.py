"""A run gone on with from any point is the run that was never interrupted, to the last bit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from torch import Tensor

from engine.cost import CostRow
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.scores.kinds import Score
from engine.settings import Algorithm, Method, Mode, Settings
from tests.engine.journals import Kept
from tests.engine.random_prompts import random_prompts

TOY = Settings(model="toy-induction", task="induction-random", pairs=8)
RANDOM = Settings(model="tiny", task="random", method=Method.DENSE, threshold_scale=0.0, min_effect=1e-4)
RUNS = {
    "exact": replace(RANDOM, mode=Mode.EXACT),
    "screened": RANDOM,
    "auto": replace(RANDOM, method=Method.APP),
    "score": replace(RANDOM, method=Method.APP, sparsity=0.3, score=Score.WALK_UNION),
    "grid": replace(RANDOM, grid=True),
    "exact grid": replace(RANDOM, grid=True, mode=Mode.EXACT),
    "mlps": replace(RANDOM, mlps=True),
    "exact mlps": replace(RANDOM, mlps=True, mode=Mode.EXACT),
    "acdc": replace(RANDOM, algorithm=Algorithm.ACDC, tolerance=0.05),
    "exact acdc": replace(RANDOM, algorithm=Algorithm.ACDC, tolerance=0.05, mode=Mode.EXACT),
    "eap": replace(RANDOM, algorithm=Algorithm.EAP),
}


def same(one, other) -> bool:
    """Whether all fields are the same to the last bit; seconds aside, which nobody can have twice."""
    if isinstance(one, Tensor):
        return torch.equal(one.nan_to_num(7.5), other.nan_to_num(7.5)) and torch.equal(one.isnan(), other.isnan())
    if isinstance(one, CostRow):
        return (one.stage, one.flops, one.forward_passes) == (other.stage, other.flops, other.forward_passes)
    if is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other or (one != one and other != other)


def check_same(one, other):
    """Names the field of the run that differs."""
    for field in fields(one):
        assert same(getattr(one, field.name), getattr(other, field.name)), (
            field.name, getattr(one, field.name), getattr(other, field.name),
        )  # fmt: skip


@pytest.fixture
def deep(tiny_deep_models, monkeypatch):
    """A model of six layers, of which a search visits most."""
    monkeypatch.setattr("engine.search.LOGITS_THRESHOLD_SCALE", -0.3)
    return tiny_deep_models("llama")


@pytest.mark.parametrize("name", RUNS)
def test_from_any_point_on_a_run_is_the_same(deep, monkeypatch, name):
    prepared = prepare(deep, RUNS[name], Watcher(), random_prompts())
    settings = prepared.settings

    def run(journal):
        for checked in ("_checked", "_checked_with_mlps"):  # as in a process of its own
            monkeypatch.setattr(f"engine.self_check.{checked}", {})
        return discover(deep, settings, Watcher(), prepared, journal=journal)

    whole, journal = run(None), Kept()
    check_same(run(journal), whole)
    names = list(journal.chunks)
    assert names[0] == "run" and journal.written == names
    for count in range(len(names) + 1):
        resumed = journal.first(count)
        check_same(run(resumed), whole)
        assert resumed.written == names[count:]
