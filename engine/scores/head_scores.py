"""All scores of one model's heads on one prompt set, as far as they have been measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.pruning.masks import drop_sparsity, keep_mask
from engine.scores.combined import equal_union, rank_sum
from engine.scores.kinds import EQUAL_UNIONS, MEASURED, TITLES, Score


@dataclass(frozen=True, eq=False)
class HeadScores:
    """Importance before any patching: ``measured`` holds ``[layer head]`` by score, both FLAPs among them.

    The FLAPs are in standard deviations over each layer's channels, the output difference in squared units of the
    stream, attributions in units of the metric, the walk in units of a search's thresholds, combined orders from 1
    (first) to 0 (last).
    """

    measured: Mapping[Score, Tensor]

    @property
    def flap(self) -> Tensor:
        return self.measured[Score.FLAP]

    @property
    def contrastive_flap(self) -> Tensor:
        return self.measured[Score.CONTRASTIVE_FLAP]

    def has(self, score: Score) -> bool:
        """Whether all it is made from has been measured."""
        return all(part in self.measured for part in score.parts)

    def available(self) -> tuple[Score, ...]:
        """The measured scores, in the order of Score."""
        return tuple(score for score in MEASURED if score in self.measured)

    def of(self, score: Score) -> Tensor:
        """A score ``[layer head]``, higher is more important; for merged, the larger of both FLAPs.

        Raises HeadlightError for one that has not been measured.
        """
        if not self.has(score):
            raise HeadlightError(
                f"{TITLES[score]} has not been measured on these prompts: only {self._names()} are there. "
                "Measure it first (engine.scoring.attribution.with_score)."
            )
        parts = [self.measured[part] for part in score.parts]
        if score is Score.MERGED:
            return torch.maximum(*parts)
        if score is Score.RANK_SUM:
            return rank_sum(parts)
        return equal_union(parts) if score in EQUAL_UNIONS else parts[0]

    def keep(self, score: Score, sparsity: float, flap_sparsity: float | None = None) -> Tensor:
        """Keep mask ``[layer head]`` at a sparsity; for merged, heads that either FLAP keeps.

        ``flap_sparsity``: FLAP's own share of a merged mask, ``sparsity`` if None.
        """
        if score is Score.MERGED:
            own = sparsity if flap_sparsity is None else flap_sparsity
            return keep_mask(self.flap, own) | keep_mask(self.contrastive_flap, sparsity)
        return keep_mask(self.of(score), sparsity)

    def drops(self, score: Score, flap_sparsity: float | None = None) -> Tensor:
        """The first sparsity whose mask no longer keeps a head, ``[layer head]``; 1 is none.

        ``flap_sparsity``: FLAP's own share of a merged mask, whose heads no other sparsity drops.
        """
        if score is Score.MERGED:  # the union keeps a head as long as either FLAP does
            fixed = flap_sparsity is not None
            flap = keep_mask(self.flap, flap_sparsity).float() if fixed else drop_sparsity(self.flap)
            return torch.maximum(flap, drop_sparsity(self.contrastive_flap))
        return drop_sparsity(self.of(score))

    def _names(self) -> str:
        return ", ".join(TITLES[score] for score in self.available())
