"""Edge attribution patching: every edge scored at once by first order, the strongest ones kept.

Sources: EAP, Syed et al. 2023 (arXiv 2310.10348); EAP-IG, Hanna et al. 2024 (arXiv 2403.17806). On the nodes of our
path patching: senders are heads, receivers the logits and each head's q, k and v; MLPs and norms lie on the path.

1. Delta: the change of the stream into the receiver's layer that the sender's corrupted z causes, all other z frozen
   at clean, MLPs and norms recomputed. The shared sweep of path patching (METHOD section 2.7, pass 1).
2. Gradient: d metric / d that stream as far as it enters the receiver's letter alone, on the live clean run; or its
   mean over several points between the corrupted and the clean embeddings (engine/patching/input_gradients.py).
   For the logits: at the last stream, end position.
3. Score of an edge = sum over positions and pairs of delta · gradient / N, in units of f (METHOD section 2.7). k and
   v are scored once for each KV head.
4. The circuit: engine/search/top_edges.py.

The sweep goes up once. At each layer every receiver there is scored by one product of all deltas with all gradients.
Nothing is measured exactly: a score is an estimate of f. Where a softmax is at its limit, its query and key have no
gradient, and edges into them are missed however much they matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.activations import Activations, BatchActivations
from engine.circuit import Circuit
from engine.cost.ledger import Ledger
from engine.errors import Cancelled
from engine.heads import Head, mask_of
from engine.machine.memory import MemoryPlan, plan_memory
from engine.models.model import Model
from engine.models.parts import Parts
from engine.notes.journal import Journal
from engine.notes.notes import Note, Notes
from engine.patching.effects import ATTRIBUTION, SENDER_SWEEP, Tick, check_effect_unit
from engine.patching.input_gradients import (
    InputGradients,
    input_gradients,
    receivers_by_layer,
    starts,
    stream_gradients,
)
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.sweep import SenderSweep, Window, plan_sweeps
from engine.progress import Watcher
from engine.search.path_patching import STAGE, SearchResult, search_cost
from engine.search.top_edges import top_edges

INTERPOLATIONS = 5  # of EAP-IG: as in its paper
NOTE = "eap"

Totals = dict[Receiver, Tensor]  # [layer head] by receiver


def eap(
    model: Model,
    activations: Activations,
    senders: Sequence[Head],
    edges: int,
    ledger: Ledger,
    memory: MemoryPlan | None = None,
    watcher: Watcher | None = None,
    steps: int = 1,
    notes: Notes | None = None,
) -> SearchResult:
    """The circuit of the strongest ``edges`` among ``senders``, which are the receivers too.

    ``steps``: points the gradients are averaged over; 1 is EAP, ``INTERPOLATIONS`` the usual EAP-IG. On cancel nothing
    has been found yet. What ``notes`` have is not scored again. Raises HeadlightError for a model whose parts are not
    known.
    """
    watcher, notes = watcher or Watcher(), notes or Notes(Journal(), ledger)
    try:
        scores = notes.read(NOTE, lambda note: _noted(note, model))
        if scores is None:
            scores = edge_scores(
                model, activations, senders, ledger, memory, lambda share: watcher.step(STAGE, share, 1), steps
            )
            notes.write(NOTE, {"receivers": [str(each) for each in scores]}, {"f": torch.stack([*scores.values()])})
    except Cancelled:
        return SearchResult(Circuit((), (), model.n_layers, model.n_heads), (), complete=False)
    result = top_edges(scores, edges, model.group, search_cost(ledger.rows()))
    watcher.found(result.circuit)
    watcher.walked(result.steps)
    return result


def _noted(note: Note, model: Model) -> Totals:
    shape = model.n_layers, model.n_heads
    receivers = [Receiver.parse(name, *shape) for name in note.values.texts("receivers")]
    return dict(zip(receivers, note.tensor("f", (len(receivers), *shape), torch.float32), strict=True))


@torch.no_grad()
def edge_scores(
    model: Model,
    activations: Activations,
    senders: Sequence[Head],
    ledger: Ledger,
    memory: MemoryPlan | None = None,
    tick: Tick = lambda share: None,
    steps: int = 1,
) -> Totals:
    """Score ``[layer head]`` of every sender by receiver, in units of f; NaN where no edge leads.

    Receivers: the logits; q of each sender above the first layer; k and v of its KV head, under that group's first
    head.
    """
    check_effect_unit(activations)
    memory = memory or plan_memory(model, activations.prompts)
    receivers = receivers_by_layer(senders, model.group)
    everyone = [LOGITS, *(receiver for some in receivers.values() for receiver in some)]
    totals = {receiver: torch.zeros(model.n_layers, model.n_heads, dtype=torch.float64) for receiver in everyone}
    work = _Work(model.parts, receivers, steps, memory, ledger, totals)
    pieces = [piece for item in activations.batches for piece in work.pieces(item)]
    for done, piece in enumerate(pieces):
        work.score(piece, senders, lambda share, done=done: tick((done + share) / len(pieces)))
    unit = len(activations.prompts) * (activations.clean - activations.corrupted)
    return {receiver: _measured(total / unit, receiver, senders) for receiver, total in totals.items()}


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some pairs of a batch, with the first position that any pair of that batch can change."""

    item: BatchActivations
    window: Window


@dataclass(frozen=True, eq=False)
class _Work:
    """What every piece is scored with, and the ``totals [layer head]`` of change it adds to."""

    parts: Parts
    receivers: dict[int, list[Receiver]]
    steps: int
    memory: MemoryPlan
    ledger: Ledger
    totals: Totals

    def pieces(self, item: BatchActivations) -> Iterator[_Piece]:
        """So many pairs that the gradients of all their runs take half of what may be kept."""
        pairs, clean = len(item.batch.pairs), item.clean
        of_pair = sum(x[:, 0].numel() * x.element_size() for x in (clean.resid_pre, clean.q, clean.k, clean.v))
        size = min(pairs, max(1, int(self.memory.streams / 2 // (self.steps * of_pair))))
        for first in range(0, pairs, size):
            yield _Piece(item.of_pairs(slice(first, first + size)), Window(item.first))

    def score(self, piece: _Piece, senders: Sequence[Head], tick: Tick) -> None:
        """Add the change of the metric, summed over the piece's pairs."""
        parts, item = self.parts, piece.item
        with self.ledger.stage(ATTRIBUTION):
            runs = [
                input_gradients(parts, item, start, self.memory.gradient_rows, self.ledger)
                for start in starts(parts, item, self.steps)
            ]
        sweeps = plan_sweeps(parts, [item], senders, [piece.window], replace(self.memory, streams=0.0), self.ledger)
        groups = list(self._side_by_side(sweeps, item))
        for done, group in enumerate(groups):
            for layer in range(len(parts.layers) + 1):
                with self.ledger.stage(SENDER_SWEEP):
                    streams = [next(way) for way in group.values()]
                with self.ledger.stage(ATTRIBUTION):
                    self._at(layer, runs, piece, dict(zip(group, streams, strict=True)))
                tick((done + (layer + 1) / (len(parts.layers) + 1)) / len(groups))

    def _side_by_side(
        self, sweeps: Sequence[SenderSweep], item: BatchActivations
    ) -> Iterator[dict[SenderSweep, Iterator[Tensor]]]:
        """Chunks that go up together, so that a layer's gradients are made once for all of them: as many as let
        their streams, into a layer and out of it, take the other half of what may be kept."""
        clean = item.clean.resid_pre
        chunk = 2 * self.memory.rows * clean.shape[-1] * clean.element_size()
        size = max(1, int(self.memory.streams / 2 // chunk))
        for first in range(0, len(sweeps), size):
            yield {sweep: sweep.upwards() for sweep in sweeps[first : first + size]}

    def _at(
        self, layer: int, runs: Sequence[InputGradients], piece: _Piece, streams: Mapping[SenderSweep, Tensor]
    ) -> None:
        """Score every receiver that reads the stream into ``layer``, given as ``[sender batch pos d_model]``."""
        receivers = [LOGITS] if layer == len(self.parts.layers) else self.receivers.get(layer, [])
        if not receivers:
            return
        clean, gradients = self._read(layer, receivers, runs, piece)
        for sweep, stream in streams.items():
            delta = (stream[:, :, -clean.shape[1] :] - clean).flatten(1)
            self.ledger.add(2 * delta.numel() * len(receivers))
            values = (delta @ gradients.flatten(1).T).double().cpu()  # [sender receiver]
            below = sweep.below(layer)
            at = ([sender.layer for sender in below], [sender.index for sender in below])
            for receiver, column in zip(receivers, values.unbind(1), strict=True):
                self.totals[receiver][at] += column

    def _read(
        self, layer: int, receivers: Sequence[Receiver], runs: Sequence[InputGradients], piece: _Piece
    ) -> tuple[Tensor, Tensor]:
        """The clean stream ``[batch pos d_model]`` and its gradients ``[receiver batch pos d_model]``."""
        clean = piece.item.clean
        if layer < len(self.parts.layers):
            gradients = stream_gradients(self.parts, receivers, runs, piece.window, self.ledger)
            return piece.window.of(clean.resid_pre[layer]), gradients
        end = torch.stack([run.final for run in runs]).mean(dim=0)
        return clean.resid_final[:, -1:], end[None, :, None]


def _measured(scores: Tensor, receiver: Receiver, senders: Sequence[Head]) -> Tensor:
    """``scores [layer head]`` at the senders below the receiver, NaN elsewhere."""
    top = len(scores) if receiver.head is None else receiver.head.layer
    below = mask_of((sender for sender in senders if sender.layer < top), *scores.shape)
    return scores.where(below, float("nan")).float()
