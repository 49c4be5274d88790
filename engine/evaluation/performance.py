"""Performance of a circuit (METHOD section 1), the paper's number: 100 · LD_circuit / LD_model, in percent.

Each LD is a mean over the pairs. Another number than faithfulness: it knows no corrupted prompts, can exceed 100, and
an empty circuit is not at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.ablation import Ablation
from engine.evaluation.bootstrap import Interval
from engine.evaluation.scale import Scale, quotient


@dataclass(frozen=True)
class Performance:
    """In percent; ``note`` is a sentence where it is undefined."""

    ablation: Ablation
    performance: Interval
    note: str


def performance_of(circuit: Tensor, clean: Tensor) -> Tensor:
    """``[...]`` in percent of metrics ``[... pair]``; NaN where the whole model's is nothing."""
    value, whole = circuit.mean(dim=-1), clean.mean(dim=-1)
    return quotient(100 * value, whole, whole)


def measure_performance(circuit: Tensor, scale: Scale, ablation: Ablation) -> Performance:
    """Of the metric ``circuit [pair]`` with everything else ablated by ``ablation``."""
    found = scale.interval(performance_of, circuit, scale.clean)
    note = "" if found.defined else "The whole model's metric is 0, so there is nothing to take a percentage of."
    return Performance(ablation, found, note)
