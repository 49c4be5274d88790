"""Accuracy: the share of pairs whose answer is preferred, that is, whose metric is above 0.

Where all pairs agree the drawings do too: the interval is a point and says nothing about pairs not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.evaluation.bootstrap import Interval
from engine.evaluation.scale import Scale


@dataclass(frozen=True)
class Accuracy:
    """Of the circuit's heads alone and of the whole model, both from 0 to 1; ``difference`` is circuit - model."""

    circuit: Interval
    model: Interval
    difference: Interval


def accuracy_of(metric: Tensor) -> Tensor:
    """``[...]`` of metrics ``[... pair]``."""
    return (metric > 0).double().mean(dim=-1)


def measure_accuracy(circuit: Tensor, scale: Scale) -> Accuracy:
    """Of the metric ``circuit [pair]`` beside that of the clean model."""
    return Accuracy(
        circuit=scale.interval(accuracy_of, circuit),
        model=scale.interval(accuracy_of, scale.clean),
        difference=scale.interval(lambda one, other: accuracy_of(one) - accuracy_of(other), circuit, scale.clean),
    )
