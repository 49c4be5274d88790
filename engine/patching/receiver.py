"""Where a path ends: the logits, the query, key or value of one head, or an MLP."""

from __future__ import annotations

from dataclasses import dataclass

from engine.circuit import Input
from engine.errors import HeadlightError
from engine.heads import Head, check_head
from engine.nodes import Mlp, Node, check_node


@dataclass(frozen=True, order=True)
class Receiver:
    """``head`` is the node that receives: None exactly for the logits, an MLP exactly for the input ``mlp``.

    k and v belong to a KV head: any query head of its group names the same receiver.
    """

    input: Input
    head: Node | None = None

    def __post_init__(self) -> None:
        if (self.head is None) != (self.input is Input.LOGITS):
            raise ValueError(f"A receiver is the logits or a head's q, k or v, got {self.input} of {self.head}")
        if isinstance(self.head, Mlp) != (self.input is Input.MLP):
            raise ValueError(f"An MLP receives by mlp, a head by q, k or v, got {self.input} of {self.head}")

    def __str__(self) -> str:
        if self.head is None:
            return Input.LOGITS.value
        return str(self.head) if self.input is Input.MLP else f"{self.head}.{self.input.value}"

    @staticmethod
    def parse(text: str, n_layers: int, n_heads: int) -> Receiver:
        """Read ``logits``, ``23.3.q`` or ``m23``; raises HeadlightError on anything else."""
        if text.strip() == Input.LOGITS.value:
            return LOGITS
        if text.strip().startswith("m"):
            return Receiver(Input.MLP, check_node(Mlp.parse(text), n_layers, n_heads))
        name, _, letter = text.strip().rpartition(".")
        if letter not in ("q", "k", "v"):
            raise HeadlightError(f"Expected a receiver such as logits, 23.3.q, 23.3.k or 23.3.v, got {text!r}.")
        return Receiver(Input(letter), check_head(Head.parse(name), n_layers, n_heads))


LOGITS = Receiver(Input.LOGITS)
