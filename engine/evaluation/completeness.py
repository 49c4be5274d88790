"""Completeness: what the model can still do with the circuit knocked out.

1. The circuit's heads are ablated, all others live.
2. Faithfulness of what is left, the complement: 0 means nothing of the task is left, so the circuit was complete;
   1 means that the model does not need the circuit, because heads outside it do the same.
3. A mean or a zero in place of a head is no wrong answer, so even with every head ablated faithfulness need not be 0
   (only corrupted values, resample, lead to the corrupted answer). That floor is measured beside it: a complete
   circuit leaves as much as is left without any head, an excess of 0.

This is the circuit's own knock-out, the largest of the subsets that Wang et al. 2022 (section 4) compare.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.ablation import Ablation
from engine.evaluation.bootstrap import Interval
from engine.evaluation.faithfulness import faithfulness_of
from engine.evaluation.scale import Scale


@dataclass(frozen=True)
class Completeness:
    """Faithfulness: ``left`` in the complement, ``floor`` without any head, ``excess`` = left - floor, drawn together.

    ``metric``: mean metric of the complement.
    """

    ablation: Ablation
    left: Interval
    floor: Interval
    excess: Interval
    metric: Interval
    note: str

    @property
    def words(self) -> str:
        """One sentence; the scale's note where the shares are undefined."""
        if not self.left.defined:
            return self.note
        return (
            f"With the circuit knocked out faithfulness is {self.left.words()}, with every head ablated "
            f"{self.floor.value:.2f} (the same: the circuit is complete; 1: the model does not need it)."
        )


def measure_completeness(complement: Tensor, nothing: Tensor, scale: Scale, ablation: Ablation) -> Completeness:
    """Of the metrics ``[pair]`` with the circuit's heads ablated and all others live, and with every head ablated."""
    ends = scale.clean, scale.corrupted
    return Completeness(
        ablation=ablation,
        left=scale.interval(faithfulness_of, complement, *ends),
        floor=scale.interval(faithfulness_of, nothing, *ends),
        excess=scale.interval(faithfulness_of, complement - nothing + scale.corrupted, *ends),
        metric=scale.mean(complement),
        note=scale.note,
    )
