"""Path patching of architectures without known parts, done again with plain module hooks on transformers' model."""

from contextlib import ExitStack, contextmanager

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.activations import capture
from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.heads import Head
from engine.metrics import effect
from engine.models.loading import load_model
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import ReferencePatching
from tests.engine.random_prompts import random_prompts
from tests.tiny_hooked import HOOKED_KINDS, save_hooked_model

D_HEAD, SENDER, TARGET = 8, Head(0, 2), Head(1, 1)


def attention(plain, kind, layer):
    block = plain.transformer.h[layer]
    return block.attn.attention if kind == "gpt_neo" else block.self_attention


def projection(plain, kind, layer):
    """The output projection, whose input is z of all heads."""
    return attention(plain, kind, layer).out_proj if kind == "gpt_neo" else attention(plain, kind, layer).dense


@contextmanager
def z_replaced(plain, kind, values):
    """``values[layer]`` as the input of each output projection."""
    with ExitStack() as stack:
        for layer, value in values.items():
            hook = lambda module, args, value=value: (value, *args[1:])  # noqa: E731
            stack.callback(projection(plain, kind, layer).register_forward_pre_hook(hook).remove)
        yield


@contextmanager
def recording_z(plain, kind, into):
    with ExitStack() as stack:
        for layer in range(2):
            hook = lambda module, args, layer=layer: into.update({layer: args[0].clone()})  # noqa: E731
            stack.callback(projection(plain, kind, layer).register_forward_pre_hook(hook).remove)
        yield


def frozen(plain, kind, item):
    """z of every layer clean but the sender's head."""
    clean, corrupted = {}, {}
    for tokens, into in ((item.batch.clean, clean), (item.batch.corrupted, corrupted)):
        with recording_z(plain, kind, into):
            plain(tokens)
    channels = slice(SENDER.index * D_HEAD, (SENDER.index + 1) * D_HEAD)
    clean[SENDER.layer][..., channels] = corrupted[SENDER.layer][..., channels]
    return clean


def patched(plain, kind, item, letter):
    """The metric ``[batch]``, by the two passes of METHOD section 2.7."""
    with z_replaced(plain, kind, frozen(plain, kind, item)):
        if letter is None:
            return item.readout.of_vocabulary(plain(item.batch.clean).logits[:, -1])
        source = getattr(attention(plain, kind, TARGET.layer), f"{letter.value}_proj")
        seen = []
        handle = source.register_forward_hook(lambda module, args, out: seen.append(out.clone()))
        plain(item.batch.clean)
        handle.remove()
    channels = slice(TARGET.index * D_HEAD, (TARGET.index + 1) * D_HEAD)

    def put(module, args, out):
        out = out.clone()
        out[..., channels] = seen[0][..., channels]
        return out

    handle = source.register_forward_hook(put)
    logits = plain(item.batch.clean).logits[:, -1]
    handle.remove()
    return item.readout.of_vocabulary(logits)


@pytest.mark.parametrize(
    ("kind", "letter"),
    [(kind, None) for kind in HOOKED_KINDS] + [("gpt_neo", letter) for letter in (Input.Q, Input.K, Input.V)],
)
@torch.no_grad()
def test_effects_equal_those_of_plain_module_hooks(tmp_path, kind, letter):
    save_hooked_model(kind, tmp_path)
    plain, model = AutoModelForCausalLM.from_pretrained(tmp_path), load_model(str(tmp_path))
    activations = capture(model, random_prompts())
    total = sum(float(patched(plain, kind, item, letter).sum()) for item in activations.batches)
    expected = effect(torch.tensor(total / len(activations.prompts)), activations.clean, activations.corrupted)
    receiver = LOGITS if letter is None else Receiver(letter, TARGET)
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        effects = ReferencePatching(model, activations, [SENDER], ledger).effects(receiver)
    assert expected.abs() > 1e-3
    torch.testing.assert_close(effects[SENDER.layer, SENDER.index], expected, atol=1e-4, rtol=0)
