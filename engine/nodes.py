"""The nodes of a circuit: attention heads and, where a run asks for them, MLPs.

A run without MLPs has matrices ``[layer head]``. A run with them has matrices ``[layer column]``, one column a
head and a last one for the layer's MLP, so that a matrix says by its width which run it is of. ``Mlp.index`` is
that last column: ``matrix[node.layer, node.index]`` reads either kind of node.

Within a layer heads come before the MLP, which reads what they wrote: a head of layer l has depth l, its MLP
l + 1/2. A sender reaches the receivers at a greater depth than its own. Only where a block runs both side by side
(GPT-J, Phi, GPT-NeoX) its MLP reads, as a receiver, at the heads' depth l.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.heads import Head, check_head, heads_of


@dataclass(frozen=True)
class Mlp:
    """The MLP of one layer, written ``m9``. Sorts after the heads of its layer."""

    layer: int
    index: ClassVar[int] = -1  # its column in a matrix [layer column]

    def __str__(self) -> str:
        return f"m{self.layer}"

    @staticmethod
    def parse(text: str) -> Mlp:
        """Read ``"m9"``; raises HeadlightError on anything else."""
        letter, layer = text.strip()[:1], text.strip()[1:]
        if not (letter == "m" and layer.isascii() and layer.isdigit()):
            raise HeadlightError(f"Expected an MLP written m and its layer such as m9, got {text!r}.")
        return Mlp(int(layer))

    # Head's own comparisons leave other classes to these.
    def __lt__(self, other: Node) -> bool:
        return _place(self) < _place(other)

    def __gt__(self, other: Node) -> bool:
        return _place(self) > _place(other)

    def __le__(self, other: Node) -> bool:
        return _place(self) <= _place(other)

    def __ge__(self, other: Node) -> bool:
        return _place(self) >= _place(other)


Node = Head | Mlp


def _place(node: Node) -> tuple[int, bool, int]:
    return node.layer, isinstance(node, Mlp), node.index


def depth_of(node: Node) -> float:
    """Where a node writes: its layer, and half a layer later for an MLP."""
    return node.layer + 0.5 if isinstance(node, Mlp) else node.layer


def mlp_depths(parallel: Sequence[bool]) -> tuple[float, ...]:
    """Where each layer's MLP reads; ``parallel`` says of each layer whether it runs beside attention."""
    return tuple(layer if beside else layer + 0.5 for layer, beside in enumerate(parallel))


def parse_node(text: str) -> Node:
    """Read ``"9.6"`` or ``"m9"``; raises HeadlightError on anything else."""
    if text.strip().startswith("m"):
        return Mlp.parse(text)
    return Head.parse(text)


def check_node(node: Node, n_layers: int, n_heads: int) -> Node:
    """Return ``node`` if the model has it; raises HeadlightError naming the valid range."""
    if isinstance(node, Head):
        return check_head(node, n_layers, n_heads)
    if node.layer >= n_layers:
        raise HeadlightError(f"The model has no MLP {node}: layers go from 0 to {n_layers - 1}.")
    return node


def with_mlps(heads: Tensor, mlps: Tensor) -> Tensor:
    """``[layer head]`` and ``[layer]`` as one matrix ``[layer column]``."""
    return torch.cat((heads, mlps[:, None].to(heads)), dim=1)


def has_mlps(matrix: Tensor, n_heads: int) -> bool:
    """Whether ``matrix`` has the MLPs' column; raises ValueError for any other width."""
    if matrix.shape[1] not in (n_heads, n_heads + 1):
        raise ValueError(f"Expected {n_heads} columns, or {n_heads + 1} with the MLPs', got {matrix.shape[1]}")
    return matrix.shape[1] == n_heads + 1


def node_mask(nodes: Iterable[Node], n_layers: int, n_heads: int) -> Tensor:
    """Keep mask ``[layer column]`` (bool) that is True exactly at ``nodes``."""
    mask = torch.zeros(n_layers, n_heads + 1, dtype=torch.bool)
    for node in nodes:
        mask[node.layer, node.index] = True
    return mask


def nodes_of(mask: Tensor, n_heads: int) -> tuple[Node, ...]:
    """The kept nodes of a mask ``[layer head]`` or ``[layer column]``, in order."""
    if not has_mlps(mask, n_heads):
        return heads_of(mask)
    mlps = (Mlp(layer) for layer in mask[:, -1].nonzero().flatten().tolist())
    return tuple(sorted((*heads_of(mask[:, :-1]), *mlps)))


def node_at(place: int, columns: int, mlps: bool) -> Node:
    """The node of an entry of a flattened matrix with ``columns``, the last of them the MLPs' if there are ``mlps``."""
    layer, column = divmod(place, columns)
    return Mlp(layer) if mlps and column == columns - 1 else Head(layer, column)


def heads_among(nodes: Iterable[Node]) -> tuple[Head, ...]:
    """The heads of ``nodes``, in their order."""
    return tuple(node for node in nodes if isinstance(node, Head))


def mlps_among(nodes: Iterable[Node]) -> tuple[Mlp, ...]:
    """The MLPs of ``nodes``, in their order."""
    return tuple(node for node in nodes if isinstance(node, Mlp))
