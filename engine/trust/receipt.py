"""Causal receipts: what one head or edge of a circuit does, measured on prompts it was not found on.

1. Effect. A head: its z alone ablated in the whole model, change of the metric by pair. An edge: the exact
   path-patching effect of that sender on that receiver, by pair. Both in units of f (METHOD section 2.7): the mean
   change over the mean of clean minus corrupted; 0 nothing, -1 as bad as the corrupted prompts.
2. Interval by the paired bootstrap over prompts (engine/evaluation/bootstrap.py).
3. Control: the head of the same layer whose mean ||W_O z|| over prompts and positions is nearest, outside the circuit;
   the nearest of all if the whole layer is in it. The same is done to it, to the same receiver.
4. Difference: |f| minus |f of the control|, its interval from the same drawings.
5. The circuit's claim, and the verdict on it: engine/trust/claim.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.ablation import Ablation, Ablator
from engine.activations import Activations
from engine.circuit import Circuit, Edge, check_heads_alone
from engine.cost.ledger import CostRow, Ledger, hooked_flops, pass_flops
from engine.errors import Cancelled, HeadlightError
from engine.evaluation.bootstrap import Interval, paired_bootstrap
from engine.fresh import fresh_activations
from engine.heads import Head, check_head, mask_of
from engine.models.model import Model
from engine.nodes import heads_among
from engine.patching.by_pair import PairedPatching
from engine.patching.effects import check_effect_unit
from engine.patching.reference import reference_by_pair, reference_passes
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.trust.claim import Claim, Target, Verdict, claim_of, control_of, receiver_of, target_name, verdict_of
from engine.trust.overlap import name_of

STAGE = "receipts"

@dataclass(frozen=True, eq=False)
class Receipt:
    """One head or edge, measured. ``control`` is None where the layer has one head alone.

    ``norm`` and ``control_norm``: mean ||W_O z|| of the head (the edge's sender) and of the control.
    ``by_pair [pair]``: shares of f, whose mean is ``effect.value``.
    """

    target: Target
    claim: Claim
    effect: Interval
    control: Head | None
    control_effect: Interval | None
    difference: Interval | None
    norm: float
    control_norm: float
    by_pair: Tensor
    verdict: Verdict

    @property
    def name(self) -> str:
        return target_name(self.target)

    @property
    def words(self) -> str:
        """The verdict in a sentence or two, with its numbers."""
        claimed = "matters" if self.claim.matters else "does not matter"
        said = f"{self.name} {claimed}, says the circuit"
        if self.claim.matters and math.isfinite(self.claim.effect):
            said += f" (effect {self.claim.effect:+.3f})"
        seen = f"Measured: {self.effect.words('{:+.3f}')}"
        if self.control is not None and self.control_effect is not None:
            seen += f"; control {self.control}: {self.control_effect.words('{:+.3f}')}"
        return f"{self.verdict.value.capitalize()}. {said}. {seen}."


@dataclass(frozen=True, eq=False)
class Receipts:
    """Receipts on ``n`` pairs; ``fresh`` is False for an own task, which has no other prompts than its own.

    ``ablation`` stands in for an ablated head's z. ``complete`` is False after a cancel.
    """

    receipts: tuple[Receipt, ...]
    n: int
    seed: int
    fresh: bool
    ablation: Ablation
    cost: tuple[CostRow, ...]
    complete: bool


def receipts(
    prepared: Prepared,
    circuit: Circuit,
    targets: Iterable[Target | Edge],
    watcher: Watcher,
    ablation: Ablation = Ablation.MEAN,
    seed: int | None = None,
) -> Receipts:
    """A receipt for each head or edge of ``targets``, in their order, on prompts of ``seed`` (None: the report seed).

    Stopped, those that are done come back, marked not complete; stopped before the first, raises Cancelled. Raises
    HeadlightError for a target the model lacks, and where the fresh prompts leave effects without a unit.
    """
    check_heads_alone(circuit, "A receipt")
    wanted = [_checked(target, prepared.model) for target in targets]
    ledger = Ledger(pass_flops(prepared.model, prepared.prompts), watcher.spend, watcher.now)
    done: list[Receipt] = []
    with ledger.stage(STAGE):
        watcher.step(STAGE, 0, len(wanted))
        wished = prepared.settings.report_seed if seed is None else seed
        activations, used = fresh_activations(prepared, wished, ledger)
        desk = _Desk(prepared, circuit, activations, used, ablation, ledger)
        try:
            for target in wanted:
                done.append(desk.receipt(target))
                watcher.step(STAGE, len(done), len(wanted))
        except Cancelled:
            if not done:
                raise
    return Receipts(
        receipts=tuple(done),
        n=len(activations.prompts),
        seed=used,
        fresh=used != prepared.settings.seed,
        ablation=ablation,
        cost=ledger.rows(),
        complete=len(done) == len(wanted),
    )


def output_norms(model: Model, activations: Activations, layer: int, ledger: Ledger) -> Tensor:
    """Mean ||W_O z|| of a layer's heads over clean prompts and positions: ``[head]``."""
    weight = model.output_weight(layer).unflatten(1, (model.n_heads, -1))  # d_model head d_head
    total, count = torch.zeros(model.n_heads, dtype=torch.float64), 0
    for item in activations.batches:
        z = item.clean_z[layer]
        rows = z[..., 0, 0].numel()
        written = [(z[..., head, :] @ weight[:, head].T).norm(dim=-1).double().sum() for head in range(model.n_heads)]
        total, count = total + torch.stack(written).cpu(), count + rows
        ledger.add(2 * rows * weight.numel())
    return total / count


class _Desk:
    """What the receipts of one circuit share: fresh activations, the ablation, the paired drawings."""

    def __init__(
        self,
        prepared: Prepared,
        circuit: Circuit,
        activations: Activations,
        seed: int,
        ablation: Ablation,
        ledger: Ledger,
    ) -> None:
        check_effect_unit(activations)
        self.prepared, self.circuit, self.activations = prepared, circuit, activations
        self.model, self.seed, self.ledger = prepared.model, seed, ledger
        self.clean, self.corrupted = (activations.by_pair(f"{run}_metric").double() for run in ("clean", "corrupted"))
        self.ablator = Ablator(self.model, activations, ledger, ablation)

    def receipt(self, target: Target) -> Receipt:
        own = _ends(target)[0]
        norms = output_norms(self.model, self.activations, own.layer, self.ledger)
        control = control_of(norms, target, self.circuit)
        shares = self._shares(target, [own] if control is None else [own, control])
        claim = claim_of(self.circuit, target, self.model.group)
        effect = self._interval(_f, shares[0])
        against = None if control is None else self._interval(_larger, *shares)
        return Receipt(
            target=target,
            claim=claim,
            effect=effect,
            control=control,
            control_effect=None if control is None else self._interval(_f, shares[1]),
            difference=against,
            norm=float(norms[own.index]),
            control_norm=math.nan if control is None else float(norms[control.index]),
            by_pair=shares[0],
            verdict=verdict_of(claim, effect, against, self.prepared.settings.min_effect),
        )

    def _shares(self, target: Target, heads: Sequence[Head]) -> list[Tensor]:
        """Each head's effect by pair, ``[pair]``: ablated, or as the sender of the edge."""
        if isinstance(target, Head):
            return [self._ablated(head) for head in heads]
        receiver = receiver_of(target)
        if not self.model.fast:
            self.ledger.add(
                len(heads) * reference_passes(receiver, 1) * hooked_flops(self.model, self.activations.prompts)
            )
            return [reference_by_pair(self.model, self.activations, receiver, head) for head in heads]
        memory = self.prepared.memory
        patching = PairedPatching(self.model, self.activations, heads, self.ledger, memory)
        values = patching.by_pair(receiver)
        return [values[head.layer, head.index] for head in heads]

    def _ablated(self, head: Head) -> Tensor:
        others = ~mask_of([head], self.model.n_layers, self.model.n_heads)
        return (self.ablator.by_pair(others) - self.clean) / (self.activations.clean - self.activations.corrupted)

    def _interval(self, statistic, *shares: Tensor) -> Interval:
        """Drawings are seeded alike for all targets, so that receipts can be compared."""
        unit = self.activations.clean - self.activations.corrupted
        changes = [share * unit for share in shares]
        return paired_bootstrap(statistic, *changes, self.clean, self.corrupted, seed=self.seed)


def _f(change: Tensor, clean: Tensor, corrupted: Tensor) -> Tensor:
    """Mean change over mean gap, over the last axis."""
    return change.mean(-1) / (clean.mean(-1) - corrupted.mean(-1))


def _larger(change: Tensor, control: Tensor, clean: Tensor, corrupted: Tensor) -> Tensor:
    """|f| - |f of the control|."""
    return _f(change, clean, corrupted).abs() - _f(control, clean, corrupted).abs()


def _ends(target: Target) -> tuple[Head, ...]:
    """The heads it is about, the sender first; raises HeadlightError for an edge of an MLP."""
    if isinstance(target, Head):
        return (target,)
    heads = heads_among(end for end in target[:2] if end is not None)
    if len(heads) < sum(end is not None for end in target[:2]):
        raise HeadlightError(f"Expected an edge between heads, got {target_name(target)}. An MLP has no receipt.")
    return heads


def _checked(target: Target | Edge, model: Model) -> Target:
    """The head, or the edge's name, if the model has it and the edge leads upwards."""
    found = name_of(target) if isinstance(target, Edge) else target
    heads = list(_ends(found))
    for head in heads:
        check_head(head, model.n_layers, model.n_heads)
    if len(heads) == 2 and heads[0].layer >= heads[1].layer:
        raise HeadlightError(
            f"Expected an edge to a head of a higher layer, got {heads[0]} to {heads[1]}. Turn it round."
        )
    return found
