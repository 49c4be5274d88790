"""Several GPUs and other precisions, on a machine that need not have any.

Where weights lie is checked with torch's fake tensors, which know shapes and devices alone and refuse to
be mixed across devices as real ones do.
"""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModelForCausalLM

from engine.activations import BatchActivations, run
from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.errors import HeadlightError
from engine.heads import Head
from engine.hooked import keeping
from engine.machine.memory import MemoryPlan
from engine.metrics import Readout
from engine.models import devices, loading
from engine.models.architectures import parts_of
from engine.models.hooks import replacing
from engine.models.loading import load_model
from engine.models.parts import Parts
from engine.models.preflight import free_bytes
from engine.patching.gradients import z_gradients
from engine.patching.receiver import Receiver
from engine.patching.receivers import patched_attention, patched_z, resume
from engine.patching.sweep import Window, plan_sweeps
from engine.tasks.prompts import Metric
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS, TINY_VOCAB, random_model, tiny_config

HOME, AWAY = torch.device("cpu:0"), torch.device("cpu:1")  # stand for two GPUs


def fake_parts(kind: str, mode: FakeTensorMode, device: torch.device) -> Parts:
    """Parts of a tiny model whose weights and buffers claim to lie on ``device``."""
    hf_model = random_model(tiny_config(kind)).requires_grad_(False)
    for module in hf_model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(mode.from_tensor(parameter.data).to(device), False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = mode.from_tensor(buffer).to(device)
    return parts_of(hf_model)


def spread_parts(kind: str, mode: FakeTensorMode) -> Parts:
    """Embedding, second block and unembedding on the other GPU; first block and rotary tables at home."""
    home, away = fake_parts(kind, mode, HOME), fake_parts(kind, mode, AWAY)
    second = replace(away.layers[1], rotary=home.layers[1].rotary)
    return replace(away, layers=(home.layers[0], second))


def patched(parts: Parts, item: BatchActivations, letter: Input) -> torch.Tensor:
    """One path's metric, from a sender of block 0 into a head of block 1."""
    ledger, window, receiver = Ledger(1.0), Window(2), Receiver(letter, Head(1, 1))
    with ledger.stage("test"):
        [sweep] = plan_sweeps(parts, [item], [Head(0, 0), Head(0, 3)], [window], MemoryPlan(2048, 2048, 0.0), ledger)
        normed = parts.layers[1].norm_attn(sweep.stream_into(1))
        z, first = patched_z(parts, item, window, receiver, normed, ledger)
        attn_out = patched_attention(parts, item, window, 1, z, first, ledger)
        return resume(parts, item, window, 1, window.of(item.clean.resid_pre[1]), attn_out, ledger)


@pytest.mark.parametrize("kind", TINY_KINDS)
@torch.no_grad()
def test_weights_on_two_gpus_meet_activations_on_one(kind):
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        parts = spread_parts(kind, mode)
        assert {layer.device for layer in parts.layers} == {HOME, AWAY}
        forward = run(parts, torch.zeros(2, 9, dtype=torch.long, device=HOME))
        assert {value.device for value in vars(forward).values()} == {HOME}
        assert parts.unembed(forward.resid_final).device == HOME
        with pytest.raises(RuntimeError, match="two devices"):
            parts.layers[1].q(forward.resid_final)  # the way there is the layer's to know, not the weights'


@pytest.mark.parametrize("letter", [Input.Q, Input.K, Input.V])
@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "gptj", "gemma3_text"])
@torch.no_grad()
def test_paths_cross_gpus(kind, letter):
    batch = next(random_prompts(n=2).batches())
    readout = Readout.of(batch.pairs, Metric.LOGIT_DIFF, TINY_VOCAB, torch.device("cpu"))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        parts = spread_parts(kind, mode)
        clean = run(parts, mode.from_tensor(batch.clean).to(HOME))
        marks = [mode.from_tensor(x).to(HOME) for x in (readout.tokens, readout.answers, readout.distractors)]
        item = BatchActivations(batch, Readout(readout.metric, *marks), clean.z, clean.z, clean.z, clean.z, clean)
        assert patched(parts, item, letter).device == HOME
        ledger = Ledger(1.0)
        with ledger.stage("test"):
            assert z_gradients(parts, item, 2048, ledger).device == HOME


def test_what_hooks_put_in_goes_where_the_layer_is():
    with FakeTensorMode():
        home, away = torch.ones(1, 2, 4, 8, device=HOME), torch.ones(1, 2, 4, 8, device=AWAY)
        _, replace_it = replacing("z", home)
        assert replace_it(away, None).device == AWAY
        assert keeping(torch.ones(4, 1, dtype=torch.bool, device=HOME), home)(away, None).device == AWAY


def gpus(monkeypatch, count: int, with_bfloat16: int = 9):
    """Pretend to torch: so many GPUs, the first of them with bfloat16, each with 10 GB free."""
    current = [0]

    @contextmanager
    def chosen(index):
        current[0] = index
        yield
        current[0] = 0

    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device", chosen)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (10_000_000_000, 24_000_000_000))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: current[0] < with_bfloat16)


@pytest.mark.parametrize(("count", "means"), [(0, "cpu"), (1, "cuda"), (2, "auto"), (8, "auto")])
def test_auto_is_what_there_is(monkeypatch, count, means):
    gpus(monkeypatch, count)
    assert devices.check_device("auto") == means


def test_free_memory_is_that_of_the_gpus_in_use(monkeypatch):
    gpus(monkeypatch, 3)
    assert (free_bytes("cuda"), free_bytes("auto")) == (10_000_000_000, 30_000_000_000)


def test_a_dtype_the_device_lacks_is_refused_with_those_it_has(monkeypatch):
    gpus(monkeypatch, 2, with_bfloat16=1)
    assert devices.check_dtype("bfloat16", "cuda") == torch.bfloat16
    with pytest.raises(HeadlightError, match=r"Card 1 cannot compute in bfloat16. Use float32 or float16 there"):
        devices.check_dtype("bfloat16", "auto")
    assert devices.check_dtype("float16", "auto") == torch.float16
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *version: False)
    with pytest.raises(HeadlightError, match="before macOS 14 cannot compute in bfloat16"):
        devices.check_dtype("bfloat16", "mps")


def test_auto_asks_transformers_to_spread_the_weights(tiny_model_folder, monkeypatch):
    """With the CPU for two GPUs: one call with device_map, and the model stays where that put it."""
    asked = {}
    real = AutoModelForCausalLM.from_pretrained

    def spread(folder, **settings):
        asked.update(settings)
        return real(folder, **settings | {"device_map": {"": "cpu"}})

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", spread)
    monkeypatch.setattr(loading, "check_placement", lambda name, hf_model: None)
    gpus(monkeypatch, 2)
    assert load_model(str(tiny_model_folder("gemma2")), device="auto").n_layers == 2
    assert asked["device_map"] == "auto"


def test_a_model_that_spills_out_of_the_gpus_is_refused():
    placed = SimpleNamespace(hf_device_map={"model.embed_tokens": 0, "model.layers.0": 1})
    loading.check_placement("big", placed)
    placed.hf_device_map["model.layers.1"] = "cpu"
    with pytest.raises(HeadlightError, match=r"big does not fit .* GPUs: 1 of its parts, model\.layers\.1 among them"):
        loading.check_placement("big", placed)
