"""What a run will cost, before it runs: FLOPs by formula, seconds by this machine's own speed.

Stage by stage, in the ledger's units:

1. Calibration, self-check, verification: whole passes.
2. Sparsity sweep: the masks are known from the scores, so which layers each must redo is too.
3. Path patching: every sender carried to the top at one position for the logits, and up to the
   highest receiver at all positions that can change. A receiver takes its senders' q, k or v and the
   attention they touch; and, measured exactly, the live model from its layer upwards.

How many receivers a search visits, and how many of its estimates it recomputes, depends on what it
finds. ``likely`` takes both from a look ahead (engine/pilot.py), without one it assumes the shares
below; ``most`` assumes that every candidate is visited and every estimate recomputed.
A model whose parts are not known pays whole hooked passes instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.ablation import masked_flops
from engine.activations import BatchActivations
from engine.circuit import Input
from engine.cost import (
    CostRow,
    attention_flops,
    gradient_flops,
    head_flops,
    hooked_flops,
    mlp_flops,
    output_flops,
    pass_flops,
    unembed_flops,
)
from engine.grid import GRID, SCALES
from engine.heads import Head, heads_of, mask_of
from engine.models.model import Model
from engine.patching.effects import LOGITS_STAGE, PASS_TWO, SENDER_SWEEP
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_passes
from engine.pilot import STAGE as LOOK_AHEAD
from engine.pilot import Pilot
from engine.prepare import CALIBRATION, Prepared
from engine.pruning import SWEEP_SPARSITIES, keep_mask
from engine.search import GRID_STAGE, search_cost
from engine.self_check import STAGE as SELF_CHECK
from engine.self_check import check_flops
from engine.settings import Method, Mode, Settings
from engine.sparsity_sweep import STAGE as SPARSITY_SWEEP
from engine.verification import STAGE as VERIFICATION

# Of the candidates, those a search visits: the fewer there are, the more of them matter.
LIKELY_SHARE = 1 / 3
LIKELY_MOST = 1 / 8  # of all heads
# The laxest thresholds of a grid visit nearly every candidate.
GRID_SHARE = 1.0
# Of the machine's matmul rate, what a stage reaches; the rest goes to attention, norms and small batches.
EFFICIENCY = {
    CALIBRATION: 0.6,
    SPARSITY_SWEEP: 0.6,
    SELF_CHECK: 0.25,
    LOOK_AHEAD: 0.6,
    LOGITS_STAGE: 0.8,
    SENDER_SWEEP: 0.85,
    PASS_TWO: 0.65,
    GRID_STAGE: 0.6,
    VERIFICATION: 0.55,
}


@dataclass(frozen=True)
class Estimate:
    """A run inside one mask: what it will probably take, by stage, and the most its search can.

    ``reference_passes``: hooked forwards the plain way would take for the likely search.
    """

    likely: tuple[CostRow, ...]
    most: CostRow
    senders: int
    reference_passes: int

    @property
    def seconds(self) -> float:
        """The whole run, likely."""
        return sum(row.seconds for row in self.likely)

    @property
    def forward_passes(self) -> float:
        """The whole run, likely."""
        return sum(row.forward_passes for row in self.likely)

    @property
    def search(self) -> CostRow:
        """Path patching alone, likely."""
        return search_cost(self.likely)

    def stage(self, name: str) -> CostRow:
        """The likely cost of one stage."""
        return next(row for row in self.likely if row.stage == name)


def estimate_run(prepared: Prepared, keep: Tensor, settings: Settings, pilot: Pilot | None = None) -> Estimate:
    """Cost of ``discover`` with path patching inside ``keep [layer head]``; close with a ``pilot``, rough without."""
    senders = heads_of(keep)
    if pilot is not None:
        likely, recomputed = dict.fromkeys(pilot.receivers, 1.0), pilot.recomputed
    else:
        likely, recomputed = dict.fromkeys(senders, _likely_share(senders, settings, keep)), likely_recomputed(settings)
    stages = {CALIBRATION: prepared.cost[0].flops}
    if settings.method is Method.APP and settings.sparsity is None:
        stages[SPARSITY_SWEEP] = sparsity_sweep_flops(prepared)
    if pilot is not None:
        stages[LOOK_AHEAD] = pilot.cost.flops
    if prepared.model.fast and (check := check_flops(prepared.model, prepared.activations)):
        stages[SELF_CHECK] = check
    trials = {GRID_STAGE: _grid_trials(prepared, len(senders), pilot)} if settings.grid else {}
    stages |= search_flops(prepared, senders, likely, settings.mode, recomputed) | trials
    stages[VERIFICATION] = 3 * pass_flops(prepared.model, prepared.prompts)  # two to capture, one ablated
    most = search_flops(prepared, senders, dict.fromkeys(senders, 1.0), settings.mode, 1.0) | trials
    return Estimate(
        likely=tuple(_row(prepared, stage, flops) for stage, flops in stages.items()),
        most=search_cost(_row(prepared, stage, flops) for stage, flops in most.items()),
        senders=len(senders),
        reference_passes=round(hooked_passes(prepared.model, senders, likely)),
    )


def _likely_share(senders: Sequence[Head], settings: Settings, keep: Tensor) -> float:
    """Of the candidates, those a search visits."""
    return GRID_SHARE if settings.grid else min(LIKELY_SHARE, LIKELY_MOST * keep.numel() / max(1, len(senders)))


def likely_recomputed(settings: Settings) -> float:
    """Of the estimated paths, the share a screened search recomputes: fewer, the higher the threshold.

    Fitted to the bundled model on two tasks, s from 1 to 2.5: .31, .11, .035, .012.
    """
    scale = min(SCALES) if settings.grid else settings.threshold_scale
    return min(1.0, math.exp(1.0 - 2.17 * scale))


def search_flops(
    prepared: Prepared, senders: Sequence[Head], receivers: Mapping[Head, float], mode: Mode, recomputed: float
) -> dict[str, float]:
    """By stage: path patching from ``senders``. ``receivers``: how likely each is visited; ``recomputed``: the share of
    paths a screened search measures exactly after estimating them."""
    model = prepared.model
    if not model.fast:
        logits = reference_passes(LOGITS, len(senders))
        others = hooked_passes(model, senders, receivers) - logits
        one = hooked_flops(model, prepared.prompts)
        return {LOGITS_STAGE: logits * one, PASS_TWO: others * one}
    return path_patching_flops(model, prepared.activations.batches, senders, receivers, mode, recomputed)


def path_patching_flops(
    model: Model,
    items: Sequence[BatchActivations],
    senders: Sequence[Head],
    receivers: Mapping[Head, float],
    mode: Mode,
    recomputed: float,
) -> dict[str, float]:
    """``search_flops`` on the fast path. Reads shapes alone, so ``items`` may lie on torch's meta device."""
    top = max((head.layer for head in receivers), default=0)
    stages = {
        LOGITS_STAGE: _carried_flops(model, senders, model.n_layers, [len(item.batch.pairs) for item in items])
        + len(senders) * sum(_logits_flops(model, item) for item in items),
        SENDER_SWEEP: _carried_flops(model, senders, top, [_rows(item) for item in items]),
    }
    total = 0.0
    if mode is Mode.SCREENED and receivers:
        total += sum(_gradient_flops(model, item) for item in items)
    total += sum(_shared_flops(model, item, layer) for layer in {head.layer for head in receivers} for item in items)
    for (layer, letter), visits in _visits(model, receivers).items():
        below = sum(sender.layer < layer for sender in senders)
        path = sum(_path_flops(model, item, layer, letter) for item in items)
        exact = path + sum(_resume_flops(model, item, layer, letter) for item in items)
        total += visits * below * (exact if mode is Mode.EXACT else path + recomputed * exact)
    return stages | {PASS_TWO: total}


def dense_flops(prepared: Prepared, receivers: Sequence[Head], mode: Mode, recomputed: float) -> float:
    """What dense path patching would take if it visited the same ``receivers`` with all heads as senders."""
    everyone = heads_of(torch.ones_like(prepared.scores.flap, dtype=torch.bool))
    return sum(search_flops(prepared, everyone, dict.fromkeys(receivers, 1.0), mode, recomputed).values())


def sparsity_sweep_flops(prepared: Prepared) -> float:
    """Both scores' curves; the nine unions, few and alike, are left out."""
    total, last = 0.0, None
    for scores in (prepared.scores.contrastive_flap, prepared.scores.flap):
        masks = [keep_mask(scores, sparsity) for sparsity in SWEEP_SPARSITIES]
        for mask in masks:
            if last is None or not torch.equal(mask, last):
                total += masked_flops(prepared.model, prepared.activations, mask, last)
            last = mask
    return total


def _grid_trials(prepared: Prepared, senders: int, pilot: Pilot | None) -> float:
    """Each different circuit of the grid ablated once; few candidates make few."""
    model, total, last = prepared.model, 0.0, None
    if pilot is None:
        return min(len(GRID), senders) * pass_flops(model, prepared.prompts)
    for heads in pilot.circuits:
        mask = mask_of(heads, model.n_layers, model.n_heads)
        total += masked_flops(model, prepared.activations, mask, last)
        last = mask
    return total


def _row(prepared: Prepared, stage: str, flops: float) -> CostRow:
    rate = prepared.flops_per_second * (EFFICIENCY[stage] if prepared.model.fast else 1.0)
    return CostRow(stage, flops / rate, flops / pass_flops(prepared.model, prepared.prompts), flops)


def _visits(model: Model, receivers: Mapping[Head, float]) -> dict[tuple[int, Input], float]:
    """Expected number of receivers by layer and letter: a KV head is visited if any query head of its group is."""
    visits: dict[tuple[int, Input], float] = {}
    missed: dict[tuple[int, int], float] = {}
    for head, chance in receivers.items():
        visits[head.layer, Input.Q] = visits.get((head.layer, Input.Q), 0.0) + chance
        group = (head.layer, head.index // model.group)
        missed[group] = missed.get(group, 1.0) * (1 - chance)
    for (layer, _), none in missed.items():
        for letter in (Input.K, Input.V):
            visits[layer, letter] = visits.get((layer, letter), 0.0) + 1 - none
    return visits


def hooked_passes(model: Model, senders: Sequence[Head], receivers: Mapping[Head, float]) -> float:
    """The same search the plain way, in hooked forwards of all pairs: logits, each receiver's letters, recordings."""
    passes = float(reference_passes(LOGITS, len(senders)))
    for (layer, letter), visits in _visits(model, receivers).items():
        below = sum(sender.layer < layer for sender in senders)
        passes += visits * reference_passes(Receiver(letter, Head(layer, 0)), below)
    return passes


def _carried_flops(model: Model, senders: Sequence[Head], top: int, rows: Sequence[int]) -> float:
    """Senders carried into layer ``top``, ``rows`` (pair x position) of each batch.

    Each sender's change is written by its head once, then MLPs run for those that entered.
    """
    total = 0.0
    for index, layer in enumerate(model.parts.layers[:top]):
        entered = sum(sender.layer <= index for sender in senders)
        entering = sum(sender.layer == index for sender in senders)
        # A parallel block's MLP does not see what its own senders wrote, so they share one.
        changed = entered - entering + min(entering, 1) if layer.parallel else entered
        total += sum(mlp_flops(layer, changed * n) + output_flops(layer, entering * n, 1) for n in rows)
    return total


def _path_flops(model: Model, item: BatchActivations, layer: int, letter: Input) -> float:
    """One sender's change of a receiver's z: see ``patched_z``. A patched v is mixed by the clean pattern."""
    rows = _rows(item)
    mixing = head_flops(model.parts.layers[layer], rows, item.batch.clean.shape[1], _reached(model, letter))
    return 2 * rows * model.d_model * model.d_head + (mixing / 2 if letter is Input.V else mixing)


def _resume_flops(model: Model, item: BatchActivations, layer_index: int, letter: Input) -> float:
    """One sender's live model from the receiver's layer upwards: see ``resume``."""
    layers, rows = model.parts.layers, _rows(item)
    pairs, length = item.batch.clean.shape
    total = output_flops(layers[layer_index], rows, _reached(model, letter)) + _logits_flops(model, item)
    for index in range(layer_index, len(layers)):
        live = rows if index < len(layers) - 1 else pairs
        if index > layer_index or not layers[index].parallel:  # there its senders share one
            total += mlp_flops(layers[index], live)
        if index > layer_index:
            total += attention_flops(layers[index], live, rows, length)
    return total


def _shared_flops(model: Model, item: BatchActivations, layer_index: int) -> float:
    """A parallel block's MLP on the clean stream into a receiver's layer: once for all senders and receivers."""
    layer = model.parts.layers[layer_index]
    live = _rows(item) if layer_index < model.n_layers - 1 else len(item.batch.pairs)
    return mlp_flops(layer, live) if layer.parallel else 0.0


def _rows(item: BatchActivations) -> int:
    """Rows (pair x position) that a patch can change."""
    pairs, length = item.batch.clean.shape
    return pairs * (length - item.first)


def _reached(model: Model, letter: Input) -> int:
    """Query heads whose z a receiver's input changes."""
    return 1 if letter is Input.Q else model.group


def _gradient_flops(model: Model, item: BatchActivations) -> float:
    pairs, length = item.batch.clean.shape
    return gradient_flops(model.parts, pairs, length, _tokens(model, item))


def _logits_flops(model: Model, item: BatchActivations) -> float:
    return unembed_flops(model.parts, len(item.batch.pairs), _tokens(model, item))


def _tokens(model: Model, item: BatchActivations) -> int:
    """Logits the metric reads."""
    return model.vocab_size if item.readout.tokens is None else len(item.readout.tokens)
