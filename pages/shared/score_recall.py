"""Which score found most of the dense circuit when it was measured, in a sentence."""

from __future__ import annotations

from engine.models.registry import find_card
from engine.scores.kinds import TITLES, Score, Source
from engine.scoring.score_recall import ScoreRecall, known_recall
from pages.shared import look


def show() -> None:
    """The sentence, where there is a measurement to tell of."""
    known = known_recall()
    if known is not None:
        look.note(words(known))


def words(found: ScoreRecall) -> str:
    best, paper = found.best(), Score.CONTRASTIVE_FLAP
    card = find_card(found.model)
    where = (
        f"Measured on {card.title if card is not None else found.model}, {look.count(len(found.recall), 'task')}, "
        f"{look.count(found.pairs, 'pair')} each: of the heads that dense path patching finds, "
    )
    top = f"the top {100 * found.share:.0f} % of all heads by {TITLES[best]} hold most, {_range(found, best)}"
    if best is paper:
        return f"{where}{top}. It is the paper’s score and the default."
    default = f"by {TITLES[paper]}, the paper’s score and the default, {_range(found, paper)}"
    if best.source is not Source.EDGES:
        return f"{where}{top}; {default}."
    cheaper = found.best(without=(Source.EDGES,))
    return (
        f"{where}{top}. It takes a sweep of all heads, as a dense search does; without one {TITLES[cheaper]} "
        f"holds most, {_range(found, cheaper)}, and {default}."
    )


def _range(found: ScoreRecall, score: Score) -> str:
    values = found.of(score)
    if len(values) == 1:
        return f"{100 * values[0]:.0f} %"
    return f"{100 * found.mean(score):.0f} % on average ({100 * min(values):.0f} to {100 * max(values):.0f} %)"
