"""One edge's attribution score the plain way: hooked forwards and finite differences: the oracle of search/eap.py.

1. Pass 1, as in ``reference.py``: a clean run with every z frozen, the sender's at its corrupted value. What changes
   in the stream into the receiver's layer is the delta.
2. A live run in which the receiver's letter alone reads that stream moved by +h and by -h times the delta, every other
   reader the stream as it is; the metric's difference over 2 h is the score, by definition of the gradient.
3. For integrated gradients the live run starts from points between the corrupted and the clean embeddings, and the
   differences are averaged.

Two forwards an edge and point, no gradients. Only for models whose hooks on q, k and v lie right behind the
projections: what a norm by head does between them it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.activations import Activations, BatchActivations
from engine.heads import Head
from engine.hooked import end_logits, recorded_z
from engine.models.bridge import hook_name, stream_name, stream_out_name
from engine.models.hooks import Hook, recorder, replacing
from engine.models.model import Model
from engine.patching.effects import check_effect_unit
from engine.patching.receiver import Receiver

SIZE = 1e-2  # h: far above rounding, far below where the second order shows


@torch.no_grad()
def reference_score(
    model: Model, activations: Activations, receiver: Receiver, sender: Head, steps: int = 1, size: float = SIZE
) -> float:
    """Score of one edge in units of f; ``steps`` as in ``eap``."""
    check_effect_unit(activations)
    edges = [_Edge(model, item, receiver, size) for item in activations.batches]
    change = sum(edge.score(sender, step / steps) for edge in edges for step in range(1, steps + 1)) / steps
    return float(change) / len(activations.prompts) / (activations.clean - activations.corrupted)


@dataclass(frozen=True, eq=False)
class _Edge:
    """One batch and one receiver."""

    model: Model
    item: BatchActivations
    receiver: Receiver
    size: float

    def score(self, sender: Head, share: float) -> float:
        """Summed over pairs, on the run that starts at ``share`` of the way to the clean embeddings."""
        delta, start = self._delta(sender), self._start(share)
        stream = self._recorded(self._point, [start])
        up, down = (self._metric(stream + sign * self.size * delta, start) for sign in (1, -1))
        return float((up - down).double().sum() / (2 * self.size))

    @property
    def _point(self) -> str:
        head = self.receiver.head
        return stream_out_name(self.model.n_layers - 1) if head is None else stream_name(head.layer)

    def _delta(self, sender: Head) -> Tensor:
        clean_z, _ = recorded_z(self.model, self._tokens)
        corrupted_z, _ = recorded_z(self.model, self.item.batch.corrupted.to(self.model.device))
        frozen = clean_z.clone()
        frozen[sender.layer][..., sender.index, :] = corrupted_z[sender.layer][..., sender.index, :]
        hooks = [replacing(hook_name(layer, "z"), z) for layer, z in enumerate(frozen)]
        return self._recorded(self._point, hooks) - self._recorded(self._point)

    def _start(self, share: float) -> Hook:
        point = stream_name(0)
        clean = self._recorded(point)
        recorded: dict[str, Tensor] = {}
        end_logits(self.model, self.item.batch.corrupted.to(self.model.device), [recorder(recorded, point)])
        return replacing(point, recorded[point] + share * (clean - recorded[point]))

    def _metric(self, moved: Tensor, start: Hook) -> Tensor:
        """``[batch]`` with the receiver reading ``moved``."""
        head = self.receiver.head
        if head is None:
            return self._read([start, replacing(self._point, moved)])
        layer = self.model.parts.layers[head.layer]
        letter = self.receiver.input.value
        projected = {"q": layer.q, "k": layer.k, "v": layer.v}[letter](layer.norm_attn(moved))
        point = hook_name(head.layer, letter)
        value = self._recorded(point, [start]).clone()
        place = head.index // (self.model.n_heads // value.shape[-2])
        value[..., place, :] = projected.unflatten(-1, (-1, layer.d_head))[..., place, :]
        return self._read([start, replacing(point, value)])

    def _recorded(self, point: str, hooks: list[Hook] | None = None) -> Tensor:
        recorded: dict[str, Tensor] = {}
        end_logits(self.model, self._tokens, [*(hooks or []), recorder(recorded, point)])
        return recorded[point]

    def _read(self, hooks: list[Hook]) -> Tensor:
        return self.item.readout.of_vocabulary(end_logits(self.model, self._tokens, hooks))

    @property
    def _tokens(self) -> Tensor:
        return self.item.batch.clean.to(self.model.device)
