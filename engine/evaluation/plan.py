"""How much of an evaluation is done: frozen, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from engine.ablation import Ablation
from engine.errors import HeadlightError
from engine.evaluation.bootstrap import DRAWS
from engine.evaluation.random_circuits import RANDOM_CIRCUITS

MOST_DRAWS, MOST_RANDOM = 100_000, 1000


@dataclass(frozen=True)
class Plan:
    """``ablation``: what stands in for removed heads wherever one kind is measured; ``draws`` of every interval;
    ``random_circuits`` of each sort. Raises HeadlightError for numbers outside their range.
    """

    ablation: Ablation = Ablation.MEAN
    draws: int = DRAWS
    random_circuits: int = RANDOM_CIRCUITS

    def __post_init__(self) -> None:
        if not 1 <= self.draws <= MOST_DRAWS:
            raise HeadlightError(f"Expected 1 to {MOST_DRAWS:,} drawings of the pairs, got {self.draws}. Try {DRAWS}.")
        if not 0 <= self.random_circuits <= MOST_RANDOM:
            raise HeadlightError(
                f"Expected 0 to {MOST_RANDOM:,} random circuits, got {self.random_circuits}. Try {RANDOM_CIRCUITS}."
            )
