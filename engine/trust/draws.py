"""What a circuit is found again on: resamples of its prompts, prompts of other seeds, all templates but one.

Seeds follow from the run's own: a resample is drawn by one of its own, ``seed``, ``seed + 1``, …; fresh prompts have
those after the report seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from engine.errors import HeadlightError
from engine.prepare import Prepared
from engine.settings import Settings
from engine.tasks.prompts import Prompts

MOST = 200


class Kind(StrEnum):
    """What was changed about the prompts."""

    RESAMPLE = "resample"
    SEED = "seed"
    TEMPLATE = "template left out"


@dataclass(frozen=True)
class Plan:
    """How many times of each kind; every template is left out once if there are two or more."""

    resamples: int = 10
    seeds: int = 5
    templates: bool = True

    def __post_init__(self) -> None:
        for name, count in (("resamples", self.resamples), ("seeds", self.seeds)):
            if not 0 <= count <= MOST:
                raise HeadlightError(f"Expected 0 to {MOST} {name}, got {count}. Ask for 5 to 20.")
        if not (self.resamples or self.seeds or self.templates):
            raise HeadlightError("Expected something to change, got no resamples, no seeds and no templates.")


@dataclass(frozen=True)
class Draw:
    """What one run is found on. ``seed``: of the drawing, or of the prompts.

    ``places`` of the run's own pairs, with repetitions; empty for other prompts. ``left_out``: a template group.
    """

    kind: Kind
    label: str
    seed: int
    places: tuple[int, ...] = ()
    left_out: int | None = None


def draws_of(prepared: Prepared, settings: Settings, plan: Plan) -> tuple[list[Draw], list[str]]:
    """What each run is found on, and what of ``plan`` cannot be done, in words.

    Raises HeadlightError if nothing can.
    """
    prompts, notes = prepared.prompts, []
    draws = [
        Draw(Kind.RESAMPLE, f"resample {i + 1}", settings.seed + i, resampled(prompts, settings.seed + i))
        for i in range(plan.resamples)
    ]
    if plan.seeds and prepared.custom:
        notes.append("An own task has no other prompts than its own, so there are no other seeds.")
    elif plan.seeds:
        first = settings.report_seed + 1
        draws += [Draw(Kind.SEED, f"seed {seed}", seed) for seed in range(first, first + plan.seeds)]
    groups = sorted({pair.template_group for pair in prompts.pairs})
    if plan.templates and len(groups) < 2:
        notes.append("All prompts are of one template, so none can be left out.")
    elif plan.templates:
        draws += [_without(prompts, group, number, settings.seed) for number, group in enumerate(groups, start=1)]
    if not draws:
        raise HeadlightError(f"There is nothing to find the circuit again on. {' '.join(notes)} Ask for resamples.")
    return draws, notes


def draw_again(prompts: Prompts, kind: Kind, label: str, seed: int, left_out: int | None) -> Draw:
    """The draw that ``draws_of`` described by these, its places found again."""
    if kind is Kind.RESAMPLE:
        return Draw(kind, label, seed, resampled(prompts, seed))
    if left_out is not None:
        return Draw(kind, label, seed, _places_without(prompts, left_out), left_out)
    return Draw(kind, label, seed)


def resampled(prompts: Prompts, seed: int) -> tuple[int, ...]:
    """Places of as many pairs as there are, drawn with replacement within each template group, in order of groups."""
    members: dict[int, list[int]] = {}
    for place, pair in enumerate(prompts.pairs):
        members.setdefault(pair.template_group, []).append(place)
    rng = Random(f"resample {seed}")
    return tuple(place for group in sorted(members) for place in rng.choices(members[group], k=len(members[group])))


def _without(prompts: Prompts, group: int, number: int, seed: int) -> Draw:
    return Draw(Kind.TEMPLATE, f"without template {number}", seed, _places_without(prompts, group), group)


def _places_without(prompts: Prompts, group: int) -> tuple[int, ...]:
    return tuple(place for place, pair in enumerate(prompts.pairs) if pair.template_group != group)
