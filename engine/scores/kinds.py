"""Which head scores there are, what each is made from, and what it takes to measure it.

1. From the runs of every preparation: FLAP, Contrastive-FLAP, paired output difference.
2. From a backward pass: attribution, summed and by position.
3. From backward passes on the way from corrupted to clean embeddings: integrated attribution.
4. From a sweep of all heads and a backward pass: the walk, a search by estimates alone.
5. From other scores alone: both masks' union, rank sum, unions at equal size.
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
    WALK = "walk"
    RANK_SUM = "rank_sum"
    EQUAL_UNION = "equal_union"
    WALK_UNION = "walk_union"

    @property
    def parts(self) -> tuple[Score, ...]:
        """The measured scores it is made from: itself where it is measured."""
        return COMBINED.get(self, (self,))

    @property
    def source(self) -> Source:
        """What all of it can be measured from."""
        asked = {part for part in self.parts if any(part in scores for scores in LAZY.values())}
        return next(source for source in Source if asked <= set(LAZY.get(source, ())))


class Source(StrEnum):
    """What a score is measured from; the stages it is booked under."""

    RUNS = "calibration"
    GRADIENT = "attribution"
    PATH = "integrated attribution"
    EDGES = "walk by estimates"


COMBINED = {
    Score.MERGED: (Score.FLAP, Score.CONTRASTIVE_FLAP),
    Score.RANK_SUM: (Score.CONTRASTIVE_FLAP, Score.POSITION_ATTRIBUTION),
    Score.EQUAL_UNION: (Score.FLAP, Score.CONTRASTIVE_FLAP),
    Score.WALK_UNION: (Score.WALK, Score.INTEGRATED_ATTRIBUTION),
}
EQUAL_UNIONS = (Score.EQUAL_UNION, Score.WALK_UNION)
# Measured only when asked for.
LAZY = {
    Source.GRADIENT: (Score.ATTRIBUTION, Score.POSITION_ATTRIBUTION),
    Source.PATH: (Score.INTEGRATED_ATTRIBUTION,),
    Source.EDGES: (Score.WALK, Score.INTEGRATED_ATTRIBUTION),
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
    Score.WALK: "Walk by estimates",
    Score.RANK_SUM: "Rank sum",
    Score.EQUAL_UNION: "Equal union",
    Score.WALK_UNION: "Walk and integrated",
}
