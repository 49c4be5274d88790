"""Ablated forwards against hooks, and the ends of the scale."""

import pytest
import torch

from engine.ablation import Ablation, Ablator
from engine.activations import capture
from engine.cost.ledger import Ledger
from engine.heads import Head, mask_of
from engine.models.bridge import hook_name
from engine.verification import verify
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS

CLOSE = {"atol": 1e-4, "rtol": 1e-4, "check_dtype": False}


@pytest.fixture
def ledger():
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        yield ledger


def hooked_metric(model, activations, keep, kind):
    """The same by TransformerLens hooks, one batch after another: [pair]."""
    values = torch.empty(len(activations.prompts))
    for item in activations.batches:
        stand_in = torch.zeros_like(item.corrupted_z)
        if kind is Ablation.RESAMPLE:
            stand_in = item.corrupted_z
        if kind is Ablation.MEAN:  # random_prompts: one template group a length
            stand_in = item.corrupted_z.mean(dim=1, keepdim=True).expand_as(item.corrupted_z)

        def hook_for(layer, stand_in=stand_in):
            def hook(value, hook):
                live = value.view(stand_in[layer].shape)
                return torch.where(keep[layer][:, None], live, stand_in[layer]).view_as(value)

            return hook

        hooks = [(hook_name(layer, "z"), hook_for(layer)) for layer in range(model.n_layers)]
        with model.lock:
            logits = model.bridge.run_with_hooks(item.batch.clean, fwd_hooks=hooks)[:, -1]
        values[list(item.batch.indices)] = item.readout(logits[:, item.readout.tokens])
    return values


@pytest.mark.parametrize("ablation", Ablation)
@pytest.mark.parametrize("kind", TINY_KINDS)
@torch.no_grad()
def test_ablated_metric_equals_hooks(tiny_model, kind, ablation, ledger):
    model = tiny_model(kind)
    activations = capture(model, random_prompts(n=6))
    ablator = Ablator(model, activations, ledger, ablation)
    generator = torch.Generator().manual_seed(1)
    for density in (0.5, 0.9, 0.1, 0.5):
        keep = torch.rand(2, 4, generator=generator) < density
        torch.testing.assert_close(ablator.by_pair(keep), hooked_metric(model, activations, keep, ablation), **CLOSE)


@torch.no_grad()
def test_what_an_ablator_ran_before_never_changes_a_result(tiny_deep_model, ledger):
    """Masks that grow, shrink, lose and regain their upper layers: resumed equals fresh."""
    activations = capture(tiny_deep_model, random_prompts(n=4))
    shared = Ablator(tiny_deep_model, activations, ledger)
    generator = torch.Generator().manual_seed(2)
    for trial in range(40):
        keep = torch.rand(6, 4, generator=generator) < (trial % 5) / 4
        keep[trial % 7 :] = False
        fresh = Ablator(tiny_deep_model, activations, ledger)
        torch.testing.assert_close(shared.by_pair(keep), fresh.by_pair(keep), **CLOSE)


def test_a_head_added_far_above_the_last_top_sees_every_position(tiny_deep_model, ledger):
    """Above the highest kept head only the end position was carried: a later mask must not resume there."""
    activations = capture(tiny_deep_model, random_prompts(n=4))
    shared = Ablator(tiny_deep_model, activations, ledger)
    low = mask_of([Head(0, 1), Head(1, 2)], 6, 4)
    high = low | mask_of([Head(4, 0), Head(5, 3)], 6, 4)
    nothing = torch.zeros_like(low)
    for keep in (low, high, nothing, high, low, low, high):
        fresh = Ablator(tiny_deep_model, activations, ledger)
        torch.testing.assert_close(shared.by_pair(keep), fresh.by_pair(keep), **CLOSE)


@pytest.mark.parametrize("ablation", Ablation)
def test_keeping_all_heads_is_the_clean_model(tiny_model, ablation, ledger):
    model = tiny_model("llama")
    activations = capture(model, random_prompts())
    everything = torch.ones(2, 4, dtype=torch.bool)
    result = verify(activations, Ablator(model, activations, ledger, ablation), everything, seed=0)
    assert result.performance == pytest.approx(100, abs=0.01)
    assert result.faithfulness == pytest.approx(1, abs=1e-4)
    assert result.sparsity == 0 and result.n == len(activations.prompts) and result.ablation is ablation


def test_keeping_none_does_not_depend_on_the_clean_prompts_attention(tiny_model, ledger):
    """Fully ablated, two prompts that end alike read alike whatever stands before: only MLPs are live."""
    model = tiny_model("gpt2")
    activations = capture(model, random_prompts())
    nothing = torch.zeros(2, 4, dtype=torch.bool)
    values = Ablator(model, activations, ledger, Ablation.ZERO).by_pair(nothing)
    for item in activations.batches:
        length = item.batch.clean.shape[1]
        resid = model.parts.embed(item.batch.clean)[:, -1]
        for layer in model.parts.layers:
            resid = layer.output(resid, layer.attention_output(torch.zeros(len(resid), model.n_heads, model.d_head)))
        expected = item.readout(model.parts.unembed(resid, item.readout.tokens))
        torch.testing.assert_close(values[list(item.batch.indices)], expected, **CLOSE)
        assert length > 1


def test_means_are_taken_within_template_groups(tiny_model, ledger):
    """One pair alone in its group: its mean is its own corrupted value, so mean is resample there."""
    from dataclasses import replace

    model, prompts = tiny_model("qwen2"), random_prompts(n=5)
    lone = tuple(replace(pair, template_group=i if i == 2 else 99) for i, pair in enumerate(prompts.pairs))
    activations = capture(model, replace(prompts, pairs=lone))
    keep = mask_of([Head(1, 1)], 2, 4)
    mean = Ablator(model, activations, ledger, Ablation.MEAN).by_pair(keep)
    resample = Ablator(model, activations, ledger, Ablation.RESAMPLE).by_pair(keep)
    torch.testing.assert_close(mean[2], resample[2], **CLOSE)
    assert (mean[0] - resample[0]).abs() > 1e-3
