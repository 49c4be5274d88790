"""Which head scores there are, what each is made from, and what it takes to measure it.

1. From the runs of every preparation: FLAP, Contrastive-FLAP, paired output difference.
2. From a backward pass: attribution, summed and by position.
3. From backward passes on the way from corrupted to clean embeddings: integrated attribution.
4. From other scores alone: both masks' union, rank sum, union at equal size.
"""

from __future__ import annotations

from enum import StrEnum


class Score(StrEnum):
    """Which head score makes the keep mask at a fixed sparsity; merged is the union of both FLAP masks."""

    CONTRASTIVE_FLAP = "contrastive_flap"
    FLAP = "flap"
    MERGED = "merged"
    OUTPUT_DIFFERENCE = "output_difference"
    ATTRIBUTION = "attribution"
    POSITION_ATTRIBUTION = "position_attribution"
    INTEGRATED_ATTRIBUTION = "integrated_attribution"
    RANK_SUM = "rank_sum"
    EQUAL_UNION = "equal_union"

    @property
    def parts(self) -> tuple[Score, ...]:
        """The measured scores it is made from: itself where it is measured."""
        return COMBINED.get(self, (self,))

    @property
    def source(self) -> Source:
        """The most it takes to measure it."""
        return next((source for source, scores in LAZY.items() if set(scores) & set(self.parts)), Source.RUNS)


class Source(StrEnum):
    """What a score is measured from; the stages it is booked under."""

    RUNS = "calibration"
    GRADIENT = "attribution"
    PATH = "integrated attribution"


COMBINED = {
    Score.MERGED: (Score.FLAP, Score.CONTRASTIVE_FLAP),
    Score.RANK_SUM: (Score.CONTRASTIVE_FLAP, Score.POSITION_ATTRIBUTION),
    Score.EQUAL_UNION: (Score.FLAP, Score.CONTRASTIVE_FLAP),
}
# Measured only when asked for.
LAZY = {
    Source.GRADIENT: (Score.ATTRIBUTION, Score.POSITION_ATTRIBUTION),
    Source.PATH: (Score.INTEGRATED_ATTRIBUTION,),
}
MEASURED = tuple(score for score in Score if score not in COMBINED)
PATH_STEPS = 5  # points on the way, as in Hanna et al.
TITLES = {
    Score.CONTRASTIVE_FLAP: "C-FLAP",
    Score.FLAP: "FLAP",
    Score.MERGED: "Merged",
    Score.OUTPUT_DIFFERENCE: "Output difference",
    Score.ATTRIBUTION: "Attribution",
    Score.POSITION_ATTRIBUTION: "Attribution by position",
    Score.INTEGRATED_ATTRIBUTION: "Integrated attribution",
    Score.RANK_SUM: "Rank sum",
    Score.EQUAL_UNION: "Equal union",
}
