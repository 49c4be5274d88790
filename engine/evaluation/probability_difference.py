"""The probability difference: summed probability of the answers minus that of the distractors, at the end position.

From -1 to 1, over the whole vocabulary, so it also falls when the circuit predicts something else altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from engine.evaluation.bootstrap import Interval
from engine.evaluation.scale import Scale
from engine.metrics import end_probabilities
from engine.tasks.prompts import PromptPair


@dataclass(frozen=True)
class ProbabilityDifference:
    """Of the circuit's heads alone and of the whole model; ``difference`` is circuit - model."""

    circuit: Interval
    model: Interval
    difference: Interval


def probability_difference(logits: Tensor, pairs: Sequence[PromptPair]) -> Tensor:
    """``[batch]`` of end logits ``[batch vocab]``."""
    answer, distractor = end_probabilities(logits, pairs).unbind(dim=-1)
    return answer - distractor


def measure_probability_difference(circuit: Tensor, model: Tensor, scale: Scale) -> ProbabilityDifference:
    """Of both by pair, ``[pair]``."""
    return ProbabilityDifference(scale.mean(circuit), scale.mean(model), scale.mean(circuit - model))
