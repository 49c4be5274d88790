"""The two ends a circuit's metric is held against, pair by pair, and whether ratios to their difference mean anything.

1. clean: the whole model on the clean prompts; corrupted: on the corrupted ones.
2. Where the two are the same (engine/metrics.py: ``is_nothing``) there is nothing a circuit could keep, and ratios to
   their difference are undefined: NaN, with a sentence that says so. The metrics themselves still stand.
3. Where the corrupted prompts take away less than a fifth of the metric, ratios are defined but unsure: said as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.activations import Activations
from engine.baseline import ENOUGH_FALL
from engine.evaluation.bootstrap import DRAWS, Interval, Statistic, mean, paired_bootstrap
from engine.metrics import NOTHING, is_nothing


@dataclass(frozen=True, eq=False)
class Scale:
    """Metric of every pair at both ends; ``seed`` and ``draws`` of every interval made of them."""

    clean: Tensor  # [pair]
    corrupted: Tensor  # [pair]
    seed: int
    draws: int = DRAWS

    @staticmethod
    def of(activations: Activations, seed: int, draws: int = DRAWS) -> Scale:
        """That of the prompts ``activations`` were captured from."""
        clean, corrupted = (activations.by_pair(f"{end}_metric").double() for end in ("clean", "corrupted"))
        return Scale(clean, corrupted, seed, draws)

    @property
    def n(self) -> int:
        return len(self.clean)

    @property
    def ends(self) -> tuple[float, float]:
        """Mean metric, clean and corrupted."""
        return float(self.clean.double().mean()), float(self.corrupted.double().mean())

    @property
    def unit(self) -> float:
        """Clean minus corrupted."""
        clean, corrupted = self.ends
        return clean - corrupted

    @property
    def defined(self) -> bool:
        """Whether ratios to the difference mean anything."""
        return not is_nothing(self.unit, self.ends[0])

    @property
    def note(self) -> str:
        """A sentence about ratios to the difference; empty if there is nothing to say."""
        clean, corrupted = self.ends
        if not self.defined:
            return (
                f"The metric is the same on clean and corrupted prompts ({clean:.4g} and {corrupted:.4g}): there is no "
                "difference of which a circuit could keep a share, so faithfulness is undefined."
            )
        if self.unit < ENOUGH_FALL * abs(clean):
            return (
                f"The metric is {clean:.4g} on clean and {corrupted:.4g} on corrupted prompts: shares of so small a "
                "fall are unsure."
            )
        return ""

    def interval(self, statistic: Statistic, *vectors: Tensor) -> Interval:
        """Of a statistic of vectors over these pairs."""
        return paired_bootstrap(statistic, *vectors, seed=self.seed, draws=self.draws)

    def mean(self, values: Tensor) -> Interval:
        """Of the mean of ``values [pair]``."""
        return self.interval(mean, values)


def quotient(numerator: Tensor, unit: Tensor, metric: Tensor) -> Tensor:
    """``numerator / unit`` elementwise, NaN where ``unit`` is nothing beside ``metric``: see ``is_nothing``."""
    return (numerator / unit).where(unit.abs() >= NOTHING * metric.abs().clamp(min=1.0), float("nan"))
