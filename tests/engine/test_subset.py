"""Pairs that have run are the same when they are picked out as when they run anew."""

import pytest
import torch

from engine.activations import capture
from engine.errors import HeadlightError
from engine.subset import clearest_places, subset, subset_prompts
from tests.engine.random_prompts import random_prompts

PLACES = [3, 0, 3, 4, 1]  # two lengths, one pair twice


@pytest.mark.parametrize("max_rows", [None, 9])
@pytest.mark.parametrize("kind", ["gpt2", "qwen2", "gemma2"])
def test_picked_out_is_as_run_anew(tiny_model, kind, max_rows):
    model, prompts = tiny_model(kind), random_prompts(n=6)
    picked = subset(model, capture(model, prompts, max_rows), PLACES, max_rows)
    anew = capture(model, subset_prompts(prompts, PLACES), max_rows)
    assert picked.prompts == anew.prompts and len(picked.batches) == len(anew.batches)
    for one, other in zip(picked.batches, anew.batches, strict=True):
        assert one.batch.indices == other.batch.indices and torch.equal(one.batch.clean, other.batch.clean)
        assert torch.equal(one.readout.answers, other.readout.answers)
        for name in ("clean_z", "corrupted_z", "clean_metric", "corrupted_metric", "corrupted_end"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-4, atol=1e-5)
        for name in ("resid_pre", "attn_out", "resid_final", "q", "k", "v", "z"):
            torch.testing.assert_close(getattr(one.clean, name), getattr(other.clean, name), rtol=1e-4, atol=1e-5)
    assert picked.clean == pytest.approx(anew.clean, abs=1e-5)


def test_a_place_there_is_not_is_refused():
    for places in ([], [5], [-1, 0]):
        with pytest.raises(HeadlightError, match="from 0 to 4"):
            subset_prompts(random_prompts(n=5), places)


def test_the_clearest_pairs_have_gaps_of_one_sign(tiny_model):
    activations = capture(tiny_model("llama"), random_prompts(n=6))
    gaps = activations.by_pair("clean_metric") - activations.by_pair("corrupted_metric")
    places = clearest_places(activations, 3)
    assert int(gaps.abs().argmax()) == places[0]
    assert all(gaps[place] * gaps[places[0]] > 0 for place in places)
