"""From the modules of a Hugging Face model to parts: what several families share. No weight is copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.parts import FeedForward, Linear, Norm, Rotary


def lookup(tokens: Tensor, table: Tensor) -> Tensor:
    """Rows of an embedding ``[token d_model]``, where ``tokens`` lie."""
    return F.embedding(tokens.to(table.device), table).to(tokens.device)


def linear(module: Any) -> Linear:
    return Linear(module.weight.detach(), None if module.bias is None else module.bias.detach())


def conv1d(module: Any) -> Linear:
    """GPT-2 stores ``[in out]``; the transposed view costs nothing."""
    return Linear(module.weight.detach().T, module.bias.detach())


def layer_norm(module: Any) -> Norm:
    return Norm(module.weight.detach(), module.bias.detach(), module.eps, centred=True)


def rms_norm(module: Any) -> Norm:
    return Norm(module.weight.detach(), None, module.variance_epsilon, centred=False)


def parameters(*maps: Linear) -> int:
    """Weights of the matmuls, biases left out: what the ledger counts."""
    return sum(item.weight.numel() for item in maps)


def plain_mlp(up: Linear, down: Linear, act: Any) -> tuple[FeedForward, int]:
    """``down(act(up(x)))`` and its parameters."""
    nonlinearity = activation(act)
    return FeedForward(lambda x: nonlinearity(up(x)), down), parameters(up, down)


def gated_mlp(module: Any) -> tuple[FeedForward, int]:
    """``down(act(gate(x)) * up(x))`` and its parameters."""
    gate, up, down = linear(module.gate_proj), linear(module.up_proj), linear(module.down_proj)
    nonlinearity = activation(module.act_fn)

    def hidden(x: Tensor) -> Tensor:
        opened, value = nonlinearity(gate(x)), up(x)
        # In place spares a tensor of the MLP's width, but autograd may still need it.
        return opened * value if opened.requires_grad else opened.mul_(value)

    return FeedForward(hidden, down), parameters(gate, up, down)


def activation(module: Any) -> Callable[[Tensor], Tensor]:
    """An MLP's own nonlinearity; the tanh GELU in its fused form instead of one operation after another."""
    if type(module).__name__ in ("NewGELUActivation", "GELUTanh"):
        return lambda x: F.gelu(x, approximate="tanh")
    return module


def rotary(module: Any, *layer_type: str) -> Rotary:
    """Rotary embedding by a model's own module, of one type of layer where it tells them apart."""

    def tables(positions: Tensor) -> tuple[Tensor, Tensor]:
        probe = torch.empty(1, dtype=torch.float32, device=positions.device)  # only its device and dtype are read
        cos, sin = module(probe, positions[None], *layer_type)
        return cos[0], sin[0]

    return Rotary(tables)
