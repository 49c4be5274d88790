"""The ways to look at the head scores as one map, and the heads each of them rings."""

from __future__ import annotations

from torch import Tensor

from engine.scores.head_scores import HeadScores
from engine.scores.kinds import TITLES as SCORE_TITLES
from engine.scores.kinds import Score

DIFFERENCE = "difference"
TITLES = {**{score.value: title for score, title in SCORE_TITLES.items()}, DIFFERENCE: "Difference"}
UNITS = {
    Score.CONTRASTIVE_FLAP: "z",
    Score.FLAP: "z",
    Score.MERGED: "z",
    Score.OUTPUT_DIFFERENCE: "squared norm",
    Score.ATTRIBUTION: "of the metric",
    Score.POSITION_ATTRIBUTION: "of the metric",
    Score.INTEGRATED_ATTRIBUTION: "of the metric",
    Score.RANK_SUM: "share ranked below",
    Score.WALK: "of the threshold",
    Score.EQUAL_UNION: "share ranked below",
    Score.WALK_UNION: "share ranked below",
}
BAR_NAMES = {
    **{score.value: f"{SCORE_TITLES[score]} ({unit})" for score, unit in UNITS.items()},
    Score.MERGED.value: "larger of both (z)",
    DIFFERENCE: "C-FLAP − FLAP (z)",
}
HELP = (
    "Merged rings every head that C-FLAP or FLAP keeps; Equal union takes the best of each in turn, to the size of one "
    "mask. Difference shows where the two disagree. Output difference is how much what a head writes changes; the "
    "attributions ask how the answer’s logits respond to that change, which takes a backward pass. Rank sum adds the "
    "ranks of C-FLAP and of attribution by position. The walk by estimates rehearses a dense search, which takes "
    "the most; Walk and integrated takes the best of it and of integrated attribution in turn."
)


def score_of(name: str) -> Score:
    """The score behind a map: that of the differences rings Contrastive-FLAP's heads."""
    return Score.CONTRASTIVE_FLAP if name == DIFFERENCE else Score(name)


def shown_scores(scores: HeadScores, name: str) -> Tensor:
    """The map's values ``[layer head]``."""
    return scores.contrastive_flap - scores.flap if name == DIFFERENCE else scores.of(Score(name))


def drops(scores: HeadScores, name: str, flap_sparsity: float | None = None) -> Tensor:
    """The sparsity that drops each head of the ringed mask ``[layer head]``.

    ``flap_sparsity``: FLAP's own in a union, whatever the slider says.
    """
    return scores.drops(score_of(name), flap_sparsity)
