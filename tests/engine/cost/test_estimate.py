"""What a search is said to cost against what the ledger books, for blocks of each shape; shapes alone suffice."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from engine.activations import capture, run
from engine.circuit import Input
from engine.cost.estimate import dense_flops
from engine.cost.ledger import Ledger
from engine.heads import Head
from engine.machine.memory import MemoryPlan
from engine.models.model import Model
from engine.patching.effects import PathPatching
from engine.patching.flops import path_patching_flops
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.sweep import SenderSweep, Window, stream_bytes
from engine.search.path_patching import search_cost
from engine.settings import Mode
from tests.engine.patching.test_effects import all_heads
from tests.engine.random_prompts import random_prompts
from tests.tiny import tiny_config


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "gptj", "gemma2"])
def test_the_cost_of_given_receivers_is_the_ledgers(tiny_deep_models, kind):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts())
    group = [Head(4, index) for index in range(model.group)]
    inputs = [Receiver(Input.Q, head) for head in group]
    inputs += [Receiver(Input.K, group[0]), Receiver(Input.V, group[0])]
    ledger = Ledger(1.0)
    patching = PathPatching(model, activations, all_heads(model), ledger, MemoryPlan(2048, 2048, 1e12))
    for receiver in (LOGITS, *inputs):
        patching.effects(receiver)
    booked = search_cost(ledger.rows())
    prepared = SimpleNamespace(
        model=model, activations=activations, prompts=activations.prompts,
        scores=SimpleNamespace(flap=torch.zeros(model.n_layers, model.n_heads)),
    )  # fmt: skip
    # How many chunks share the MLP of a parallel block is not predicted.
    expected = dense_flops(prepared, group, Mode.EXACT, 1.0)
    assert booked.flops == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("mode", Mode)
def test_flops_of_path_patching_are_known_without_memory(tiny_model, mode):
    from transformers import AutoModelForCausalLM

    model = tiny_model("qwen2")
    with torch.device("meta"):
        paper = Model("paper", AutoModelForCausalLM.from_config(tiny_config("qwen2")), tokenizer=None)
    items = capture(model, random_prompts()).batches
    on_paper = [replace(item, run=run(paper.parts, item.batch.clean.to("meta"))) for item in items]
    assert all(item.clean.z.is_meta and item.clean.z.shape == item.clean_z.shape for item in on_paper)
    asked = (all_heads(model), {Head(1, 2): 0.5, Head(1, 0): 1.0}, mode, 0.2)
    stages = path_patching_flops(model, items, *asked)
    assert path_patching_flops(paper, on_paper, *asked) == stages and all(flops > 0 for flops in stages.values())


@pytest.mark.parametrize("stride", [1, 2, 3, 6, 7])
def test_kept_streams_take_what_was_planned(tiny_deep_model, stride):
    items = capture(tiny_deep_model, random_prompts()).batches
    senders = [head for head in all_heads(tiny_deep_model) if head.index != 1]
    windows = [Window(item.first) for item in items]
    ledger = Ledger(1.0)
    kept: list[torch.Tensor] = []
    with ledger.stage("test"):
        for item, window in zip(items, windows, strict=True):
            sweep = SenderSweep(tiny_deep_model.parts, item, senders, window, stride, ledger)
            sweep.stream_into(6)
            kept += sweep._kept.values()
    planned = stream_bytes(6, items, senders, windows, stride)
    assert sum(stream.numel() * stream.element_size() for stream in kept) == planned
