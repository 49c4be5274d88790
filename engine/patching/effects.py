"""Exact effects of many senders on one receiver, all sharing one sweep.

The effect of a sender on a receiver is f of METHOD section 2.7. For the logits only the end
position is carried through the layers, because with z frozen positions do not talk to each other
(SPEED item 3); for a head's q, k and v everything from the first differing token on.

All receivers of a layer are measured together: each chunk of the sweep is read, and normed, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.activations import Activations, BatchActivations, read_metric
from engine.cost.ledger import Ledger, unembed_flops
from engine.errors import HeadlightError
from engine.machine.chunks import halved_grid
from engine.machine.memory import MemoryPlan, plan_memory
from engine.metrics import effect, is_nothing
from engine.models.model import Model
from engine.models.parts import Parts
from engine.nodes import Node, depth_of
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.receivers import patched_attention, patched_z, resume
from engine.patching.sweep import Streams, Window, plan_sweeps

# Stages of the ledger. What path patching does in neither of the first two is pass 2: receivers, estimates, live
# layers.
LOGITS_STAGE = "logits stage"
SENDER_SWEEP = "sender sweep"
PASS_TWO = "pass 2"
ATTRIBUTION = "attribution"  # of engine/search/eap.py: gradients, and their products with the sweep's streams
PATCHING_STAGES = (LOGITS_STAGE, SENDER_SWEEP, PASS_TWO, ATTRIBUTION)

# Receivers of one layer whose patched streams are resumed together: enough to fill a matmul where few senders of each
# are recomputed. Sums depend on what shares a matmul, so it is fixed: some of the receivers can be measured elsewhere.
TOGETHER = 4

Tick = Callable[[float], None]  # called between chunks with the share done, 0 to 1; may raise Cancelled
# (receiver, f [layer head]) -> [layer head], True for senders whose exact effect decides who is important
Decides = Callable[[Receiver, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Effects:
    """f of every sender on one receiver; NaN where not measured, ``estimated`` where first-order only."""

    f: Tensor  # [layer head]
    estimated: Tensor  # [layer head], bool

    @staticmethod
    def exact(f: Tensor) -> Effects:
        return Effects(f, torch.zeros_like(f, dtype=torch.bool))


class PathPatching:
    """Patches paths from a fixed set of senders; ask for receivers from the last layer down.

    Any order gives the same numbers, but going down reads each stream before it is dropped.
    """

    def __init__(
        self,
        model: Model,
        activations: Activations,
        senders: Sequence[Node],
        ledger: Ledger,
        memory: MemoryPlan | None = None,
    ) -> None:
        """``memory``: how the work is cut; planned for what is free if None."""
        check_effect_unit(activations)
        self.model, self.activations, self.ledger = model, activations, ledger
        self.senders = tuple(sorted(senders))
        self.memory = memory or plan_memory(model, activations.prompts)
        self._sweeps: Sequence[Streams] | None = None

    def effects(self, receiver: Receiver, tick: Tick = lambda share: None) -> Tensor:
        """f ``[layer head]`` of every sender below one receiver; NaN where not measured."""
        return self.measure([receiver], tick=tick)[0].f

    @torch.no_grad()
    def measure(
        self,
        receivers: Sequence[Receiver],
        decides: Decides | None = None,  # every effect is exact, whatever it decides
        tick: Tick = lambda share: None,
    ) -> list[Effects]:
        """Effects on the logits alone, or on receivers that share a layer, in their order."""
        if list(receivers) == [LOGITS]:
            with self.ledger.stage(LOGITS_STAGE):
                return [Effects.exact(self._to_logits(tick))]
        depth = self.depth(receivers)
        everyone = torch.ones_like(self.nothing(), dtype=torch.bool)
        with self.ledger.stage(PASS_TWO):
            changes = self.changes(dict.fromkeys(receivers, everyone), tick)
        return [Effects.exact(self.in_units_of_f(change, depth)) for change in changes.values()]

    def changes(
        self,
        wanted: Mapping[Receiver, Tensor],
        tick: Tick = lambda share: None,
        receivers: Sequence[Receiver] | None = None,
    ) -> dict[Receiver, Tensor]:
        """Patched minus clean metric, summed over pairs: ``[layer head]`` by receiver, 0 where not wanted.

        ``wanted [layer head]`` picks senders receiver by receiver; all receivers lie in one layer. ``receivers``: all
        that are measured, in order, where ``wanted`` are only some of them.
        """
        group = {r: i // TOGETHER for i, r in enumerate(wanted if receivers is None else receivers)}
        layer = layer_of(list(wanted))
        totals = {receiver: self.nothing() for receiver in wanted}
        sweeps = self.sweeps()
        done = 0
        for item in self.activations.batches:
            queues = {group[receiver]: _ResumeQueue(self, item, layer, totals) for receiver in wanted}
            for sweep in (sweep for sweep in sweeps if sweep.item is item):
                for receiver, senders, attn_out in self._patched(sweep, layer, wanted):
                    queues[group[receiver]].put(receiver, senders, attn_out, sweep.window)
                done += 1
                tick(done / len(sweeps))
            for queue in queues.values():
                queue.run()
        return totals

    def sweeps(self) -> Sequence[Streams]:
        """The shared sweep, in chunks; planned at first use."""
        if self._sweeps is None:
            windows = [Window(item.first) for item in self.activations.batches]
            self._sweeps = self._planned(windows, self.memory)
        return self._sweeps

    def stream(self, sweep: Streams, depth: float) -> Tensor:
        """The stream into a layer (its ``depth``) of one chunk of the shared sweep: ``[sender batch pos d_model]``."""
        with self.ledger.stage(SENDER_SWEEP):
            return sweep.stream_into(depth)

    def hold(self, read: float, depth: float) -> None:
        """Keep what is kept, up to ``depth``, once receivers at the depth ``read`` were measured."""
        for sweep in self.sweeps():
            sweep.hold(min(read, depth))

    def depth(self, receivers: Sequence[Receiver]) -> float:
        """The depth at which these receivers read (engine/nodes.py): senders lie below it."""
        return layer_of(receivers)

    def _planned(self, windows: Sequence[Window], memory: MemoryPlan) -> Sequence[Streams]:
        """Streams of all senders, in chunks."""
        items = self.activations.batches
        return plan_sweeps(self.model.parts, items, self.senders, windows, memory, self.ledger)

    @property
    def shape(self) -> tuple[int, int]:
        """Of a matrix of effects: layers, and heads a layer."""
        return self.model.n_layers, self.model.n_heads

    def nothing(self) -> Tensor:
        """Zero for every head: ``[layer head]``."""
        return torch.zeros(self.shape, dtype=torch.float64)

    def in_units_of_f(self, change: Tensor, depth: float) -> Tensor:
        """f of a summed change of the metric, for senders below ``depth``; NaN elsewhere: ``[layer head]``."""
        activations = self.activations
        mean = change / len(activations.prompts)
        f = effect(activations.clean + mean, activations.clean, activations.corrupted)
        measured = torch.zeros_like(f, dtype=torch.bool)
        for sender in self.senders:
            measured[sender.layer, sender.index] = depth_of(sender) < depth
        return f.where(measured, float("nan")).float()

    def _patched(
        self, sweep: Streams, layer: int, wanted: Mapping[Receiver, Tensor]
    ) -> Iterator[tuple[Receiver, list[Node], Tensor]]:
        """For each receiver: its wanted senders of this chunk, and what attention writes under their patches."""
        below = sweep.below(layer)
        chosen = {r: [i for i, s in enumerate(below) if mask[s.layer, s.index]] for r, mask in wanted.items()}
        if not any(chosen.values()):
            return
        parts, stream = self.model.parts, self.stream(sweep, layer)
        needed = sorted({i for rows in chosen.values() for i in rows})
        if len(needed) < len(below):
            stream = stream[needed]
        normed = parts.layers[layer].norm_attn(stream)
        place = {row: i for i, row in enumerate(needed)}
        for receiver, rows in chosen.items():
            if rows:
                own = normed if len(rows) == len(needed) else normed[[place[row] for row in rows]]
                yield receiver, [below[row] for row in rows], self._attention(sweep, receiver, layer, own)

    def _attention(self, sweep: Streams, receiver: Receiver, layer: int, normed: Tensor) -> Tensor:
        """What attention writes where the receiver reads ``normed``; both ``[sender batch pos d_model]``."""

        def of_some(senders: slice, pairs: slice) -> Tensor:
            where = self.model.parts, sweep.item.of_pairs(pairs), sweep.window
            z, first = patched_z(*where, receiver, normed[senders, pairs], self.ledger)
            return patched_attention(*where, layer, z, first, self.ledger)

        return halved_grid(of_some, normed.shape, self.ledger)

    def _to_logits(self, tick: Tick) -> Tensor:
        parts = self.model.parts
        windows = [Window(item.batch.clean.shape[1] - 1) for item in self.activations.batches]
        # Each chunk is carried straight to the top: nothing needs keeping on the way.
        sweeps = self._planned(windows, replace(self.memory, streams=0.0))
        total = self.nothing()
        for done, sweep in enumerate(sweeps):
            resid = sweep.stream_into(self.model.n_layers)[:, :, -1]
            tokens = sweep.item.readout.tokens
            self.ledger.add(
                unembed_flops(parts, resid[..., 0].numel(), self.model.vocab_size if tokens is None else len(tokens))
            )
            add_change(total, sweep.item, sweep.senders, _read(parts, sweep.item, resid))
            tick((done + 1) / len(sweeps))
        return self.in_units_of_f(total, self.model.n_layers)


def _read(parts: Parts, item: BatchActivations, resid: Tensor) -> Tensor:
    """Metric ``[sender batch]`` of final streams ``[sender batch d_model]``."""

    def of_some(senders: slice, pairs: slice) -> Tensor:
        return read_metric(parts, item.readout.of_pairs(pairs), resid[senders, pairs])

    return halved_grid(of_some, resid.shape)


class _ResumeQueue:
    """Patched streams of one batch, resumed together once they fill a matmul."""

    def __init__(
        self, patching: PathPatching, item: BatchActivations, layer: int, totals: Mapping[Receiver, Tensor]
    ) -> None:
        self._patching, self._item, self._layer, self._totals = patching, item, layer, totals
        self._waiting: list[tuple[Receiver, list[Node], Tensor]] = []
        self._window = Window(0)

    def put(self, receiver: Receiver, senders: list[Node], attn_out: Tensor, window: Window) -> None:
        """``attn_out [sender batch pos d_model]`` of the receiver's layer."""
        rows = sum(waiting[..., 0].numel() for _, _, waiting in self._waiting)
        if rows and rows + attn_out[..., 0].numel() > self._patching.memory.rows:
            self.run()
        self._waiting.append((receiver, senders, attn_out))
        self._window = window

    def run(self) -> None:
        """Resume what waits and add each receiver's changes to its total."""
        if not self._waiting:
            return
        item, window = self._item, self._window
        attn_out = torch.cat([waiting for _, _, waiting in self._waiting])
        resid = window.of(item.clean.resid_pre[self._layer])
        parts, ledger = self._patching.model.parts, self._patching.ledger

        def resumed(senders: slice, pairs: slice) -> Tensor:
            some = item.of_pairs(pairs)
            return resume(parts, some, window, self._layer, resid[pairs], attn_out[senders, pairs], ledger)

        values = halved_grid(resumed, attn_out.shape, ledger)
        sizes = [len(senders) for _, senders, _ in self._waiting]
        for (receiver, senders, _), part in zip(self._waiting, values.split(sizes), strict=True):
            add_change(self._totals[receiver], item, senders, part)
        self._waiting = []


def add_change(total: Tensor, item: BatchActivations, senders: Sequence[Node], values: Tensor) -> None:
    """Add the metric's change ``values [sender batch]`` - clean to ``total [layer head]``, or to each pair's own
    place of ``total [layer head pair]``."""
    layers = [sender.layer for sender in senders]
    indices = [sender.index for sender in senders]
    change = values.double() - item.clean_metric.double()
    if total.ndim == 2:
        total[layers, indices] += change.sum(dim=1).cpu()
    else:
        pairs = torch.tensor(item.batch.indices)
        total[layers, indices] = total[layers, indices].index_add(1, pairs, change.cpu())


def layer_of(receivers: Sequence[Receiver]) -> int:
    """The layer that inputs of heads or MLPs share; raises ValueError if they do not."""
    layers = {None if receiver.head is None else receiver.head.layer for receiver in receivers}
    if len(layers) != 1 or None in layers:
        raise ValueError(f"Expected inputs of heads of one layer, got {', '.join(map(str, receivers)) or 'none'}")
    (layer,) = layers
    assert layer is not None
    return layer


def check_effect_unit(activations: Activations) -> None:
    """Effects are in units of clean minus corrupted: refuse when that is nothing."""
    if is_nothing(activations.clean - activations.corrupted, activations.clean):
        raise HeadlightError(
            f"The metric is the same on clean and corrupted prompts ({activations.clean:.4g}), so effects have no "
            "unit. Choose a task the model can do, or another corruption."
        )
