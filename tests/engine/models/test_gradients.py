"""A plain forward of parts can be differentiated: gradients at z against those of transformers' own model."""

import re
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from engine.activations import run
from engine.models.architectures import parts_of
from engine.models.parts import Linear, Parts
from tests.tiny import TINY_KINDS, TINY_VOCAB, random_model, tiny_config

TOKENS = torch.randint(1, TINY_VOCAB, (2, 9), generator=torch.Generator().manual_seed(0))
READ = torch.tensor([11, 42])
OUTPUT_PROJECTION = re.compile(r"\.0\.(attn|self_attn|attention)\.(c_proj|o_proj|out_proj|dense)$")


@dataclass(frozen=True, eq=False)
class Shifted(Linear):
    """An output projection that sees z moved by ``shift``."""

    shift: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x + self.shift)


def metric(logits: Tensor) -> Tensor:
    return (logits[..., 0] - logits[..., 1]).sum()


def our_gradient(parts: Parts) -> Tensor:
    first, *others = parts.layers
    shift = torch.zeros(*TOKENS.shape, 32, requires_grad=True)
    shifted = replace(first, o=Shifted(first.o.weight, first.o.bias, shift))
    parts = replace(parts, layers=(shifted, *others))
    metric(parts.unembed(run(parts, TOKENS).resid_final[:, -1], READ)).backward()
    assert shift.grad is not None
    return shift.grad


def their_gradient(hf_model) -> Tensor:
    shift = torch.zeros(*TOKENS.shape, 32, requires_grad=True)
    [projection] = [module for name, module in hf_model.named_modules() if OUTPUT_PROJECTION.search(name)]
    projection.register_forward_pre_hook(lambda module, inputs: (inputs[0] + shift,))
    metric(hf_model(TOKENS).logits[:, -1][:, READ]).backward()
    assert shift.grad is not None
    return shift.grad


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_gradient_at_z_is_transformers_own(tiny_model, tiny_model_folder, kind):
    expected = their_gradient(AutoModelForCausalLM.from_pretrained(tiny_model_folder(kind)))
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(our_gradient(tiny_model(kind).parts), expected, atol=1e-4, rtol=1e-3)


def test_a_gated_relu_too():
    """ReLU's gradient is read off its output, which nothing may overwrite."""
    config = tiny_config("llama")
    config.hidden_act = "relu"
    hf_model = random_model(config).requires_grad_(False)
    torch.testing.assert_close(
        our_gradient(parts_of(hf_model)), their_gradient(hf_model), atol=1e-4, rtol=1e-3
    )
