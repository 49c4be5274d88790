"""Weights are told apart, and hooks change nothing."""

import torch

from engine.models.fingerprint import fingerprint
from engine.models.model import Model
from tests.tiny import random_model, tiny_config


def test_the_same_weights_have_the_same_fingerprint_and_others_another():
    first, again, other = (random_model(tiny_config("gpt2"), seed) for seed in (0, 0, 1))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    with torch.no_grad():
        again.get_parameter("transformer.h.1.mlp.c_fc.bias").add_(1e-3)
    assert fingerprint(again) != fingerprint(first)
    assert fingerprint(random_model(tiny_config("gpt2")).bfloat16()) != fingerprint(first)


def test_hooks_rename_weights_but_not_the_model(tiny_model):
    hooked = Model("one", random_model(tiny_config("gpt2")), tiny_model("gpt2").tokenizer)
    _ = hooked.bridge
    plain = Model("other", random_model(tiny_config("gpt2")), tiny_model("gpt2").tokenizer)
    assert hooked.fingerprint == plain.fingerprint and len(plain.fingerprint) == 16
