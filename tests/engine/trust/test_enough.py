"""How many pairs are enough: intervals by hand, and scores of drawings against the usual way of computing them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from engine.prepare import Prepared, prepare
from engine.progress import Watcher
from engine.settings import Settings
from engine.trust.enough import drawn, how_many_are_enough, interval, resampled_scores, sizes_up_to
from tests.engine.random_prompts import random_prompts

ATOL = 2e-5  # float32 scores


def prepared_of(model, n: int = 5) -> Prepared:
    return prepare(model, Settings(task="random", pairs=n), Watcher(), random_prompts(n=n))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_all_pairs_once_give_the_usual_scores(tiny_model, kind):
    prepared = prepared_of(tiny_model(kind))
    even = torch.full((1, 5), 1 / 5, dtype=torch.float64)
    assert_close(resampled_scores(prepared, even, Watcher())[0], prepared.scores.contrastive_flap, atol=ATOL, rtol=0)


def test_a_drawing_has_the_scores_of_its_pairs_run_anew(tiny_model):
    model, prompts = tiny_model("gpt2"), random_prompts(n=5)
    prepared = prepared_of(model)
    shares = torch.tensor([[0.5, 0.0, 0.0, 0.25, 0.25]], dtype=torch.float64)
    pairs = tuple(prompts.pairs[place] for place in (0, 0, 3, 4))
    anew = prepare(model, Settings(task="random", pairs=4), Watcher(), replace(prompts, pairs=pairs))
    assert_close(resampled_scores(prepared, shares, Watcher())[0], anew.scores.contrastive_flap, atol=ATOL, rtol=0)


def test_the_last_stage_holds_the_values_of_all_pairs(tiny_model):
    prepared = prepared_of(tiny_model("gpt2"), n=6)
    enough = how_many_are_enough(prepared, Watcher(), draws=50)
    assert enough is not None and [stage.size for stage in enough.stages] == [2, 4, 6] and enough.n == 6
    assert enough.stages[-1].metric.value == pytest.approx(prepared.baseline.clean_logit_diff, abs=1e-5)
    scores = prepared.scores.contrastive_flap
    values = [each.value for each in enough.stages[-1].scores]
    assert values == pytest.approx(sorted(scores.flatten().tolist(), reverse=True)[:5], abs=ATOL)
    assert [float(scores[head.layer, head.index]) for head in enough.heads] == pytest.approx(values, abs=ATOL)
    for stage in enough.stages:
        assert 0 <= stage.unchanged <= stage.overlap <= 1
        assert stage.metric.low <= stage.metric.middle <= stage.metric.high


def test_intervals_narrow_as_pairs_are_added(tiny_model):
    enough = how_many_are_enough(prepared_of(tiny_model("gpt2"), n=16), Watcher())
    assert enough is not None
    widths = [stage.metric.half_width for stage in enough.stages]
    assert widths == sorted(widths, reverse=True)
    # The spread of a mean of N draws falls with 1/sqrt(N): from 2 to 16 pairs to about sqrt(2/16) = .35.
    assert 0.25 < widths[-1] / widths[0] < 0.5


def test_the_same_seed_draws_the_same(tiny_model):
    prepared = prepared_of(tiny_model("gpt2"))
    first, second = (how_many_are_enough(prepared, Watcher(), draws=20) for _ in range(2))
    assert first == second


def test_a_single_pair_cannot_be_drawn_again(tiny_model):
    assert how_many_are_enough(prepared_of(tiny_model("gpt2"), n=1), Watcher()) is None


def test_the_interval_is_the_middle_95_percent():
    # 0 ... 200: the 2.5th and 97.5th percentiles are 5 and 195, the median 100.
    found = interval(torch.arange(201.0)[torch.randperm(201)], 90.0)
    assert (found.low, found.middle, found.high, found.value) == pytest.approx((5.0, 100.0, 195.0, 90.0))
    assert found.half_width == pytest.approx(95.0)


def test_drawings_of_a_size_add_up_to_one_and_hold_that_many_pairs():
    shares = drawn(n=7, size=4, draws=30, seed=1)
    assert shares.shape == (30, 7)
    assert_close(shares.sum(dim=1), torch.ones(30, dtype=torch.float64))
    assert_close(shares * 4, (shares * 4).round())
    assert len({tuple(row) for row in shares.tolist()}) > 10


@pytest.mark.parametrize(("n", "sizes"), [(2, [2]), (3, [2, 3]), (8, [2, 4, 8]), (20, [2, 4, 8, 16, 20])])
def test_sizes_double_up_to_all(n, sizes):
    assert sizes_up_to(n) == sizes
