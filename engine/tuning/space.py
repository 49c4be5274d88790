"""What automatic settings may choose (METHOD section 2.8, and what its authors leave for later).

1. The score that makes the keep mask.
2. Its sparsity; for the union of FLAP's and Contrastive-FLAP's masks, one for each of the two.
3. s, and the smallest effect that counts, on a logarithmic scale.

Values are rounded to what a person would type, so that a link to them is short and two trials can meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.pruning.cliffs import FIXED_SPARSITY
from engine.pruning.masks import check_sparsity
from engine.scores.head_scores import HeadScores
from engine.settings import Method, Score, Settings

# Scores that cost no backward pass. The union at equal size is left out: the one with two sparsities says more.
PLAIN_SCORES = (Score.MERGED, Score.CONTRASTIVE_FLAP, Score.FLAP, Score.OUTPUT_DIFFERENCE)
VERSION = 1  # of what is asked below: a kept study of another version is another study

SPARSITY_STEP = 0.01
SCALE_STEP = 0.05
EFFECT_DIGITS = 2


class Suggests(Protocol):
    """The part of an Optuna trial that is used here."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any: ...
    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...


@dataclass(frozen=True)
class Space:
    """Bounds, both ends included. Raises HeadlightError for an empty space."""

    scores: tuple[Score, ...] = PLAIN_SCORES
    sparsity: tuple[float, float] = (0.60, 0.98)
    scale: tuple[float, float] = (0.5, 3.0)
    min_effect: tuple[float, float] = (0.0005, 0.05)

    def __post_init__(self) -> None:
        if not self.scores:
            raise HeadlightError("Expected at least one score to choose from, got none. Name one, such as merged.")
        for name in ("sparsity", "scale", "min_effect"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise HeadlightError(f"Expected a range of {name} from low to high, got {low:g} to {high:g}. Turn it.")
        check_sparsity(self.sparsity[1])
        if self.min_effect[0] == 0:
            raise HeadlightError("Expected a smallest effect above 0, for its scale is logarithmic. Try 0.0005.")

    def suggest(self, trial: Suggests, base: Settings) -> Settings:
        """``base`` with everything of the space chosen by ``trial``."""
        score = Score(trial.suggest_categorical("score", [score.value for score in self.scores]))
        sparsity = self._sparsity(trial, "sparsity")
        flap_sparsity = self._sparsity(trial, "flap_sparsity") if score is Score.MERGED else None
        scale = trial.suggest_float("threshold_scale", *self.scale, step=SCALE_STEP)
        min_effect = trial.suggest_float("min_effect", *self.min_effect, log=True)
        return replace(
            base, method=Method.APP, union=None, grid=False, score=score, sparsity=sparsity,
            flap_sparsity=flap_sparsity, threshold_scale=round(scale, 2),
            min_effect=float(f"{min_effect:.{EFFECT_DIGITS}g}"),
        )  # fmt: skip

    def usual(self) -> dict[str, Any]:
        """The first trial: the fixed cliff of both scores, the usual thresholds, or what is nearest to them."""
        score = Score.MERGED if Score.MERGED in self.scores else self.scores[0]
        sparsity = _within(FIXED_SPARSITY, self.sparsity)
        values: dict[str, Any] = {"score": score.value, "sparsity": sparsity}
        if score is Score.MERGED:
            values["flap_sparsity"] = sparsity
        values["threshold_scale"] = _within(Settings.threshold_scale, self.scale)
        return values | {"min_effect": _within(Settings.min_effect, self.min_effect)}

    def widest(self, scores: HeadScores) -> Tensor:
        """Every head that some trial can keep: ``[layer head]``."""
        masks = [scores.keep(score, self.sparsity[0]) for score in self.scores]
        return torch.stack(masks).any(dim=0)

    def _sparsity(self, trial: Suggests, name: str) -> float:
        return round(trial.suggest_float(name, *self.sparsity, step=SPARSITY_STEP), 2)


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
