"""Faithfulness of a circuit (METHOD section 1): the share of what corruption takes away that the circuit keeps.

(LD_circuit - LD_corrupted) / (LD_clean - LD_corrupted), each LD a mean over the pairs: 1 as good as the whole model,
0 as bad as the corrupted prompts. LD_circuit is that of the circuit's heads alone, every other head ablated. Can
exceed 1 and fall below 0. Its interval is that of the ratio: numerator and denominator are drawn together.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.ablation import Ablation
from engine.evaluation.bootstrap import Interval
from engine.evaluation.scale import Scale, quotient


@dataclass(frozen=True)
class Faithfulness:
    """The share, and the three metrics it is made of, which stand even where it is undefined (``note`` says so)."""

    ablation: Ablation
    faithfulness: Interval
    circuit: Interval
    clean: Interval
    corrupted: Interval
    note: str


def faithfulness_of(circuit: Tensor, clean: Tensor, corrupted: Tensor) -> Tensor:
    """``[...]`` of metrics ``[... pair]``; NaN where clean and corrupted are the same."""
    value, whole, ruined = (vector.mean(dim=-1) for vector in (circuit, clean, corrupted))
    return quotient(value - ruined, whole - ruined, whole)


def measure_faithfulness(circuit: Tensor, scale: Scale, ablation: Ablation) -> Faithfulness:
    """Of the metric ``circuit [pair]`` with everything else ablated by ``ablation``."""
    return Faithfulness(
        ablation=ablation,
        faithfulness=scale.interval(faithfulness_of, circuit, scale.clean, scale.corrupted),
        circuit=scale.mean(circuit),
        clean=scale.mean(scale.clean),
        corrupted=scale.mean(scale.corrupted),
        note=scale.note,
    )
