"""Does the model do the task at all? Asked before anything is built on it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.activations import Activations

# A model that prefers the right answer less often than this is guessing too often to explain.
ENOUGH_ACCURACY = 0.75
# Corruption must take away at least this share of the metric, or effects are measured in noise.
ENOUGH_FALL = 0.2


@dataclass(frozen=True, eq=False)
class Baseline:
    """The metric of the whole model, in logits (or probability for a probability difference).

    ``accuracy``: share of pairs whose clean metric is above 0, that is, whose answer is preferred.
    """

    clean_logit_diff: float
    corrupted_logit_diff: float
    accuracy: float
    n: int
    clean_by_pair: Tensor  # [pair]
    corrupted_by_pair: Tensor  # [pair]
    capable: bool
    verdict: str


def measure_baseline(activations: Activations) -> Baseline:
    """Accuracy and metric of the captured runs, with a plain word about what they mean."""
    clean, corrupted = activations.by_pair("clean_metric"), activations.by_pair("corrupted_metric")
    accuracy = float((clean > 0).float().mean())
    capable, verdict = judge(accuracy, activations.clean, activations.corrupted)
    return Baseline(
        clean_logit_diff=activations.clean,
        corrupted_logit_diff=activations.corrupted,
        accuracy=accuracy,
        n=len(activations.prompts),
        clean_by_pair=clean,
        corrupted_by_pair=corrupted,
        capable=capable,
        verdict=verdict,
    )


def judge(accuracy: float, clean: float, corrupted: float) -> tuple[bool, str]:
    """Whether there is something to explain, and why (not)."""
    if accuracy < ENOUGH_ACCURACY or clean <= 0:
        return False, (
            f"The model cannot do this task: it prefers the right answer in {accuracy:.0%} of the prompts. "
            "A circuit found here would explain guesses; choose another task or model."
        )
    if clean - corrupted < ENOUGH_FALL * clean:
        return False, (
            "The corrupted prompts barely change the answer, so there is no difference for path patching to trace. "
            "Choose another corruption, task or model."
        )
    return True, f"The model does this task: it prefers the right answer in {accuracy:.0%} of the prompts."
