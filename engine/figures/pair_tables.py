"""Rows about prompt pairs: each pair with its metric and probabilities, and each template with its accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.figures.tables import Row

if TYPE_CHECKING:
    from torch import Tensor

    from engine.tasks.prompts import PromptPair


@dataclass(frozen=True)
class Group:
    """The pairs of one template at one token length: their places, share of answers preferred, mean metrics."""

    number: int
    pairs: tuple[int, ...]
    tokens: int
    accuracy: float
    clean: float
    corrupted: float


def groups_of(pairs: Sequence[PromptPair], clean: Tensor, corrupted: Tensor) -> list[Group]:
    """Template groups in the order of their first pair; ``clean`` and ``corrupted [pair]`` are metrics."""
    members: dict[int, list[int]] = {}
    for place, pair in enumerate(pairs):
        members.setdefault(pair.template_group, []).append(place)
    return [
        Group(
            number=number,
            pairs=tuple(places),
            tokens=len(pairs[places[0]].clean_tokens),
            accuracy=float((clean[places] > 0).double().mean()),
            clean=float(clean[places].mean()),
            corrupted=float(corrupted[places].mean()),
        )
        for number, places in enumerate(members.values(), start=1)
    ]


def group_rows(groups: Sequence[Group], pairs: Sequence[PromptPair]) -> list[Row]:
    """One row a template group; accuracy in percent, metrics are means."""
    return [
        {
            "template": group.number,
            "pairs": len(group.pairs),
            "tokens": group.tokens,
            "accuracy %": round(100 * group.accuracy, 1),
            "clean metric": round(group.clean, 4),
            "corrupted metric": round(group.corrupted, 4),
            "example": pairs[group.pairs[0]].clean,
        }
        for group in groups
    ]


def pair_rows(
    pairs: Sequence[PromptPair],
    groups: Sequence[Group],
    words: Sequence[tuple[str, str]],
    clean: Tensor,
    corrupted: Tensor,
    probabilities: Tensor,
) -> list[Row]:
    """One row a pair. ``words`` are its answers and distractors; probabilities ``[pair run 2]`` are sums over them."""
    template = {place: group.number for group in groups for place in group.pairs}
    return [
        {
            "pair": place + 1,
            "template": template[place],
            "clean": pair.clean,
            "corrupted": pair.corrupted,
            "answer": words[place][0],
            "distractor": words[place][1],
            "clean metric": round(float(clean[place]), 5),
            "corrupted metric": round(float(corrupted[place]), 5),
            "answer preferred": bool(clean[place] > 0),
            "p(answer), clean": round(float(probabilities[place, 0, 0]), 6),
            "p(distractor), clean": round(float(probabilities[place, 0, 1]), 6),
            "p(answer), corrupted": round(float(probabilities[place, 1, 0]), 6),
            "p(distractor), corrupted": round(float(probabilities[place, 1, 1]), 6),
        }
        for place, pair in enumerate(pairs)
    ]
