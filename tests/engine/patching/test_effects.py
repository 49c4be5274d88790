"""The fast path against the hooked reference, and against what must hold by definition."""

from dataclasses import replace

import pytest
import torch

from engine.activations import capture
from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.errors import HeadlightError
from engine.heads import Head
from engine.machine.memory import MemoryPlan
from engine.patching.effects import PathPatching
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_effects
from engine.tasks.prompts import Metric, Prompts
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS

EXACT = {"atol": 1e-4, "rtol": 0, "equal_nan": True}  # in f, as SPEED.md promises
RECEIVERS = [LOGITS] + [Receiver(letter, Head(1, h)) for letter in (Input.Q, Input.K, Input.V) for h in (0, 1, 3)]
# A metric reads logits, whatever made them: all of them on three kinds, one on the others.
KINDS_AND_METRICS = [
    (kind, metric)
    for kind in TINY_KINDS
    for metric in (Metric if kind in ("gpt2", "llama", "qwen2") else [Metric.LOGIT_DIFF])
]
# One of each way a block can differ: norms after attention, parallel MLPs, windows.
DEEP_KINDS = ("gpt_neox", "gptj", "mistral", "gemma2", "gemma3_text")


def all_heads(model):
    return [Head(layer, index) for layer in range(model.n_layers) for index in range(model.n_heads)]


def fast_effects(model, activations, receiver, senders=None, memory=None):
    ledger = Ledger(1.0)
    patching = PathPatching(model, activations, senders or all_heads(model), ledger, memory)
    with ledger.stage("test"):
        return patching.effects(receiver)


@pytest.mark.parametrize("receiver", RECEIVERS, ids=str)
@pytest.mark.parametrize(("kind", "metric"), KINDS_AND_METRICS)
def test_fast_equals_reference(tiny_model, kind, metric, receiver):
    model = tiny_model(kind)
    activations = capture(model, random_prompts(metric))
    reference = reference_effects(model, activations, receiver, all_heads(model))
    assert reference.nan_to_num().abs().max() > 1e-3  # there is something to agree on
    torch.testing.assert_close(fast_effects(model, activations, receiver), reference, **EXACT)


@pytest.mark.parametrize("receiver", [LOGITS, Receiver(Input.K, Head(1, 2))], ids=str)
def test_heads_that_are_no_senders_are_not_measured(tiny_model, receiver):
    model = tiny_model("llama")
    activations = capture(model, random_prompts())
    senders = [Head(0, 3), Head(0, 1)]
    some = fast_effects(model, activations, receiver, senders)
    everyone = fast_effects(model, activations, receiver)
    assert sorted(map(tuple, (~some.isnan()).nonzero().tolist())) == [(0, 1), (0, 3)]
    torch.testing.assert_close(some[0, [1, 3]], everyone[0, [1, 3]], atol=1e-6, rtol=0)
    torch.testing.assert_close(some, reference_effects(model, activations, receiver, senders), **EXACT)


def test_senders_lie_below_their_receiver(tiny_model):
    model = tiny_model("gpt2")
    effects = fast_effects(model, capture(model, random_prompts()), Receiver(Input.Q, Head(1, 0)))
    assert not effects[0].isnan().any() and effects[1].isnan().all()


@pytest.mark.parametrize("receiver", RECEIVERS[:4], ids=str)
def test_patching_a_value_with_itself_does_nothing(tiny_model, receiver):
    model = tiny_model("qwen2")
    activations = capture(model, random_prompts())
    same = tuple(replace(item, corrupted_z=item.clean.z) for item in activations.batches)
    effects = fast_effects(model, replace(activations, batches=same), receiver)
    assert effects.nan_to_num().abs().max() < 1e-5


def test_the_order_of_pairs_does_not_matter(tiny_model):
    model, prompts = tiny_model("gpt2"), random_prompts(n=6)
    turned = Prompts(prompts.task, prompts.metric, prompts.pairs[::-1])
    for receiver in (LOGITS, Receiver(Input.V, Head(1, 1))):
        torch.testing.assert_close(
            fast_effects(model, capture(model, prompts), receiver),
            fast_effects(model, capture(model, turned), receiver),
            atol=1e-5, rtol=1e-5, equal_nan=True,  # some f are of order ten
        )


@pytest.mark.parametrize("streams", [0.0, 3e4, 1e12])
def test_how_work_is_cut_never_changes_a_number(tiny_deep_model, streams):
    activations = capture(tiny_deep_model, random_prompts())
    receivers = [Receiver(Input.Q, Head(layer, 1)) for layer in (4, 3, 1)]
    expected = [fast_effects(tiny_deep_model, activations, receiver) for receiver in receivers]
    ledger = Ledger(1.0)
    memory = MemoryPlan(40, 40, streams)  # chunks of two or three senders
    patching = PathPatching(tiny_deep_model, activations, all_heads(tiny_deep_model), ledger, memory)
    with ledger.stage("test"):
        for receiver, effects in zip(receivers, expected, strict=True):
            torch.testing.assert_close(patching.effects(receiver), effects, atol=1e-5, rtol=0, equal_nan=True)


def test_a_deep_model_agrees_through_many_live_layers(tiny_deep_model):
    activations = capture(tiny_deep_model, random_prompts(n=3))
    senders = [Head(0, 0), Head(1, 3), Head(2, 2), Head(4, 1)]
    inputs = (Receiver(Input.Q, Head(3, 0)), Receiver(Input.K, Head(2, 1)), Receiver(Input.V, Head(1, 2)))
    for receiver in (LOGITS, *inputs):
        torch.testing.assert_close(
            fast_effects(tiny_deep_model, activations, receiver, senders),
            reference_effects(tiny_deep_model, activations, receiver, senders),
            **EXACT,
        )


@pytest.mark.parametrize("kind", DEEP_KINDS)
def test_deep_models_of_other_architectures_agree_too(tiny_deep_models, kind):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts(n=3))
    senders = [Head(0, 0), Head(2, 2), Head(4, 1)]
    inputs = (Receiver(Input.Q, Head(3, 0)), Receiver(Input.K, Head(2, 1)), Receiver(Input.V, Head(1, 2)))
    reference = torch.stack([reference_effects(model, activations, r, senders) for r in (LOGITS, *inputs)])
    fast = torch.stack([fast_effects(model, activations, r, senders) for r in (LOGITS, *inputs)])
    assert reference.nan_to_num().abs().max() > 1e-2
    torch.testing.assert_close(fast, reference, **EXACT)


@pytest.mark.parametrize("kind", ["gpt_neox", "gemma2"])
def test_how_work_is_cut_never_changes_a_number_of_other_architectures(tiny_deep_models, kind):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts())
    receiver = Receiver(Input.K, Head(4, 1))
    expected = fast_effects(model, activations, receiver)
    effects = fast_effects(model, activations, receiver, memory=MemoryPlan(40, 40, 0.0))
    torch.testing.assert_close(effects, expected, atol=1e-5, rtol=0, equal_nan=True)


def test_prompts_that_differ_nowhere_have_no_unit(tiny_model):
    model, prompts = tiny_model("gpt2"), random_prompts()
    same = tuple(replace(pair, corrupted_tokens=pair.clean_tokens) for pair in prompts.pairs)
    activations = capture(model, replace(prompts, pairs=same))
    with pytest.raises(HeadlightError, match="the same on clean and corrupted"):
        fast_effects(model, activations, LOGITS)
    with pytest.raises(HeadlightError, match="the same on clean and corrupted"):
        reference_effects(model, activations, LOGITS, all_heads(model))
