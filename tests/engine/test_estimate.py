"""What a search is said to cost against what the ledger books, for blocks of each shape."""

from types import SimpleNamespace

import pytest
import torch

from engine.activations import capture
from engine.circuit import Input
from engine.cost import Ledger
from engine.estimate import dense_flops
from engine.heads import Head
from engine.memory import MemoryPlan
from engine.patching.effects import PathPatching
from engine.patching.receiver import LOGITS, Receiver
from engine.settings import Mode
from tests.engine.patching.test_effects import all_heads
from tests.engine.random_prompts import random_prompts


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "gptj", "gemma2"])
def test_the_cost_of_given_receivers_is_the_ledgers(tiny_deep_models, kind):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts())
    group = [Head(4, index) for index in range(model.group)]
    inputs = [Receiver(Input.Q, head) for head in group]
    inputs += [Receiver(Input.K, group[0]), Receiver(Input.V, group[0])]
    ledger = Ledger(1.0)
    with ledger.stage("search"):
        patching = PathPatching(model, activations, all_heads(model), ledger, MemoryPlan(2048, 2048, 1e12))
        for receiver in (LOGITS, *inputs):
            patching.effects(receiver)
    [booked] = ledger.rows()
    prepared = SimpleNamespace(
        model=model, activations=activations, prompts=activations.prompts,
        scores=SimpleNamespace(flap=torch.zeros(model.n_layers, model.n_heads)),
    )  # fmt: skip
    # How many chunks share the MLP of a parallel block is not predicted.
    expected = dense_flops(prepared, group, Mode.EXACT, 1.0)
    assert booked.flops == pytest.approx(expected, rel=0.05)
