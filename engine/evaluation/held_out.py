"""What a circuit owes to the prompts it was found on: selection on one seed, report on another.

Faithfulness on the selection prompts minus that on fresh ones. The two sets share no pairs, so each is drawn by
itself. A gap above 0 is what the search fitted to its own prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.evaluation.bootstrap import Interval, independent_difference
from engine.evaluation.faithfulness import faithfulness_of
from engine.evaluation.scale import Scale


@dataclass(frozen=True)
class HeldOut:
    """Faithfulness on both sets, and ``gap`` = selection - fresh."""

    selection: Interval
    fresh: Interval
    gap: Interval
    selection_seed: int
    fresh_seed: int


def measure_held_out(selection: Tensor, chosen_on: Scale, fresh: Tensor, reported_on: Scale) -> HeldOut:
    """Of the circuit's metric ``[pair]`` on both sets; each scale has the seed of its prompts."""
    sides = [(values, scale.clean, scale.corrupted) for values, scale in ((selection, chosen_on), (fresh, reported_on))]
    return HeldOut(
        selection=chosen_on.interval(faithfulness_of, *sides[0]),
        fresh=reported_on.interval(faithfulness_of, *sides[1]),
        gap=independent_difference(
            faithfulness_of, sides[0], sides[1], seeds=(chosen_on.seed, reported_on.seed), draws=reported_on.draws
        ),
        selection_seed=chosen_on.seed,
        fresh_seed=reported_on.seed,
    )
