"""What a run will cost, before it runs: FLOPs by formula, seconds by this machine's own speed.

Stage by stage, in the ledger's units:

1. Calibration, self-check, self-tests, verification: whole passes; scores by backward passes, forwards and those.
2. Sparsity sweep: the masks are known from the scores, so which layers each must redo is too.
3. Path patching, or the algorithm in its place: see ``engine/patching/flops.py``. EAP is known exactly, ACDC only as
   well as the shares below are.

How many receivers a search visits, and how many of its estimates it recomputes, depends on what it
finds. ``likely`` takes both from a look ahead (engine/cost/pilot.py), without one it assumes the shares
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
from engine.cost.ledger import CostRow, hooked_flops, pass_flops
from engine.cost.pilot import STAGE as LOOK_AHEAD
from engine.cost.pilot import Pilot
from engine.heads import Head
from engine.nodes import Node, heads_among, node_mask, nodes_of
from engine.patching.effects import ATTRIBUTION, LOGITS_STAGE, PASS_TWO, SENDER_SWEEP
from engine.patching.flops import (
    acdc_flops,
    attribution_flops,
    attribution_passes,
    hooked_passes,
    node_patching_flops,
    path_patching_flops,
)
from engine.patching.receiver import LOGITS
from engine.patching.reference import reference_passes
from engine.prepare import CALIBRATION, Prepared
from engine.pruning.masks import SWEEP_SPARSITIES, keep_mask
from engine.pruning.sparsity_sweep import STAGE as SPARSITY_SWEEP
from engine.scores.kinds import Source
from engine.scoring.attribution import source_flops
from engine.search.algorithms import points_of
from engine.search.grid import GRID
from engine.search.path_patching import GRID_STAGE, search_cost
from engine.settings import ATTRIBUTING, Algorithm, Method, Mode, Settings
from engine.trust.self_check import STAGE as SELF_CHECK
from engine.trust.self_check import check_flops
from engine.trust.self_tests import STAGE as SELF_TESTS
from engine.trust.self_tests import self_tests_flops
from engine.verification import STAGE as VERIFICATION

# Of the candidates, those a search visits: the fewer there are, the more of them matter.
LIKELY_SHARE = 1 / 3
LIKELY_MOST = 1 / 8  # of all heads
# The laxest thresholds of a grid visit nearly every candidate.
GRID_SHARE = 1.0
# Of the machine's matmul rate, what a stage reaches; the rest goes to attention, norms and small batches.
EFFICIENCY = {
    CALIBRATION: 0.6,
    Source.GRADIENT.value: 0.6,
    Source.PATH.value: 0.6,
    Source.EDGES.value: 0.85,
    SPARSITY_SWEEP: 0.6,
    SELF_CHECK: 0.25,
    SELF_TESTS: 0.25,
    LOOK_AHEAD: 0.6,
    LOGITS_STAGE: 0.85,
    SENDER_SWEEP: 0.9,
    PASS_TWO: 0.85,  # of chunks that are full, more; of a screened run's few rows, less
    ATTRIBUTION: 0.6,
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
    """Cost of ``discover`` with path patching inside ``keep`` (pipeline's ``keep_of``); close with a ``pilot``, rough
    without."""
    senders = nodes_of(keep, prepared.model.n_heads)
    if pilot is not None:
        likely, recomputed = dict.fromkeys(pilot.receivers, 1.0), pilot.recomputed
    else:
        likely, recomputed = dict.fromkeys(senders, _likely_share(senders, settings, keep)), likely_recomputed(settings)
    stages = {CALIBRATION: prepared.cost[0].flops}
    if settings.score_source is not Source.RUNS:
        stages[settings.score_source.value] = source_flops(prepared, settings.score_source)
    if settings.method is Method.APP and settings.sparsity is None:
        stages[SPARSITY_SWEEP] = sparsity_sweep_flops(prepared)
    if pilot is not None:
        stages[LOOK_AHEAD] = pilot.cost.flops
    if prepared.model.fast and (check := check_flops(prepared.model, prepared.activations, settings.mlps)):
        stages[SELF_CHECK] = check
    stages[SELF_TESTS] = self_tests_flops(prepared.model, prepared.activations)
    trials = {GRID_STAGE: _grid_trials(prepared, len(senders), pilot, settings.mlps)} if settings.grid else {}
    stages |= _search_flops(prepared, senders, likely, settings, recomputed) | trials
    stages[VERIFICATION] = 3 * pass_flops(prepared.model, prepared.prompts)  # two to capture, one ablated
    most = _search_flops(prepared, senders, dict.fromkeys(senders, 1.0), settings, 1.0) | trials
    return Estimate(
        likely=tuple(_row(prepared, stage, flops) for stage, flops in stages.items()),
        most=search_cost(_row(prepared, stage, flops) for stage, flops in most.items()),
        senders=len(senders),
        reference_passes=round(_plain_passes(prepared, senders, likely, settings)),
    )


def _search_flops(
    prepared: Prepared, senders: Sequence[Node], receivers: Mapping[Node, float], settings: Settings, recomputed: float
) -> dict[str, float]:
    """``search_flops`` of whichever algorithm searches; ACDC through hooks is guessed as path patching is."""
    model, items = prepared.model, prepared.activations.batches
    if settings.algorithm in ATTRIBUTING:
        return attribution_flops(model, items, heads_among(senders), points_of(settings.algorithm))
    if settings.algorithm is Algorithm.ACDC and model.fast:
        return acdc_flops(model, items, heads_among(senders), _of_heads(receivers), settings.mode, recomputed)
    return search_flops(prepared, senders, receivers, settings.mode, recomputed, settings.mlps)


def _plain_passes(
    prepared: Prepared, senders: Sequence[Node], receivers: Mapping[Node, float], settings: Settings
) -> float:
    """Hooked forwards without shortcuts."""
    if settings.mlps:
        return hooked_passes(prepared.model, senders, receivers, mlps=True)
    heads = heads_among(senders)
    if settings.algorithm in ATTRIBUTING:
        return attribution_passes(prepared.model, heads, points_of(settings.algorithm))
    return hooked_passes(prepared.model, heads, _of_heads(receivers))


def _of_heads(receivers: Mapping[Node, float]) -> dict[Head, float]:
    return {node: chance for node, chance in receivers.items() if isinstance(node, Head)}


def _likely_share(senders: Sequence[Node], settings: Settings, keep: Tensor) -> float:
    """Of the candidates, those a search visits."""
    return GRID_SHARE if settings.grid else min(LIKELY_SHARE, LIKELY_MOST * keep.numel() / max(1, len(senders)))


def likely_recomputed(settings: Settings) -> float:
    """Of the estimated paths, the share a screened search recomputes: fewer, the higher the threshold.

    Fitted to the bundled model on two tasks, s from 1 to 2.5: .31, .11, .035, .012.
    """
    scale = Settings.threshold_scale if settings.grid else settings.threshold_scale  # a grid's usual choice
    return min(1.0, math.exp(1.0 - 2.17 * scale))


def search_flops(
    prepared: Prepared,
    senders: Sequence[Node],
    receivers: Mapping[Node, float],
    mode: Mode,
    recomputed: float,
    mlps: bool = False,
) -> dict[str, float]:
    """By stage: path patching from ``senders``. ``receivers``: how likely each is visited; ``recomputed``: the share of
    paths a screened search measures exactly after estimating them; ``mlps``: they are nodes."""
    model, items = prepared.model, prepared.activations.batches
    if mlps:
        return node_patching_flops(model, items, senders, receivers, mode, recomputed)
    heads = _of_heads(receivers)
    if not model.fast:
        logits = reference_passes(LOGITS, len(senders))
        others = hooked_passes(model, senders, heads) - logits
        one = hooked_flops(model, prepared.prompts)
        return {LOGITS_STAGE: logits * one, PASS_TWO: others * one}
    return path_patching_flops(model, items, heads_among(senders), heads, mode, recomputed)


def dense_flops(
    prepared: Prepared, receivers: Sequence[Node], mode: Mode, recomputed: float, mlps: bool = False
) -> float:
    """What dense path patching would take if it visited the same ``receivers`` with all heads as senders; all MLPs too
    where they are nodes."""
    model = prepared.model
    everyone = nodes_of(torch.ones(model.n_layers, model.n_heads + mlps, dtype=torch.bool), model.n_heads)
    return sum(search_flops(prepared, everyone, dict.fromkeys(receivers, 1.0), mode, recomputed, mlps).values())


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


def _grid_trials(prepared: Prepared, senders: int, pilot: Pilot | None, mlps: bool) -> float:
    """Each different circuit of the grid ablated once; few candidates make few."""
    model, total, last = prepared.model, 0.0, None
    if pilot is None:
        return min(len(GRID), senders) * pass_flops(model, prepared.prompts)
    for nodes in pilot.circuits:
        mask = node_mask(nodes, model.n_layers, model.n_heads)
        mask = mask if mlps else mask[:, :-1]
        total += masked_flops(model, prepared.activations, mask, last)
        last = mask
    return total


def _row(prepared: Prepared, stage: str, flops: float) -> CostRow:
    rate = prepared.flops_per_second * (EFFICIENCY[stage] if prepared.model.fast else 1.0)
    return CostRow(stage, flops / rate, flops / pass_flops(prepared.model, prepared.prompts), flops)
