"""Attention heads by name, and sets of them as keep masks (METHOD section 1).

Axis legend used across the engine::

    layer  head  batch  pos  d_head  d_model

``True`` in a mask means kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import HeadlightError


@dataclass(frozen=True, order=True)
class Head:
    """One attention (query) head, written ``9.6`` for layer 9, index 6."""

    layer: int
    index: int

    def __str__(self) -> str:
        return f"{self.layer}.{self.index}"

    @staticmethod
    def parse(text: str) -> Head:
        """Read ``"9.6"``; raises HeadlightError on anything else."""
        layer, dot, index = text.strip().partition(".")
        if not (dot and layer.isascii() and layer.isdigit() and index.isascii() and index.isdigit()):
            raise HeadlightError(f"Expected a head written layer.index such as 9.6, got {text!r}.")
        return Head(int(layer), int(index))


def check_head(head: Head, n_layers: int, n_heads: int) -> Head:
    """Return ``head`` if the model has it; raises HeadlightError naming the valid range."""
    if head.layer >= n_layers or head.index >= n_heads:
        raise HeadlightError(
            f"The model has no head {head}: layers go from 0 to {n_layers - 1} and heads from 0 to {n_heads - 1}."
        )
    return head


def mask_of(heads: Iterable[Head], n_layers: int, n_heads: int) -> Tensor:
    """Keep mask ``[layer head]`` (bool) that is True exactly at ``heads``."""
    mask = torch.zeros(n_layers, n_heads, dtype=torch.bool)
    for head in heads:
        mask[head.layer, head.index] = True
    return mask


def heads_of(mask: Tensor) -> tuple[Head, ...]:
    """The kept heads of a mask ``[layer head]``, in layer order."""
    return tuple(Head(int(layer), int(index)) for layer, index in mask.nonzero().tolist())
