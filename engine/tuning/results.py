"""What automatic settings come to: every trial, the front of size against faithfulness, and the choice.

1. The front: trials that no other beats, being as small and more faithful on held-out prompts.
2. The smallest on it with faithfulness >= .75 is taken; else the knee of the front (engine/pruning/pareto.py), and
   where it has none its most faithful.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.ablation import Ablation
from engine.cost.ledger import CostRow
from engine.errors import HeadlightError
from engine.heads import Head
from engine.pruning.pareto import knee, pareto_front
from engine.settings import Settings

ENOUGH_FAITHFULNESS = 0.75
NAN = float("nan")


@dataclass(frozen=True)
class Outcome:
    """The circuit of a trial's settings, with all other heads ablated on the held-out prompts.

    ``performance`` in percent, ``faithfulness`` a ratio. ``estimated``: who is in the circuit was decided by
    estimates alone; both are measured all the same.
    """

    heads: tuple[Head, ...]
    edges: int
    faithfulness: float
    performance: float
    estimated: bool


@dataclass(frozen=True)
class Trial:
    """One try. ``pruned`` says why it was not searched; then there is no ``outcome``.

    ``settings`` are complete: running them gives this trial's circuit, exactly searched, reported on fresh prompts.
    ``mask_faithfulness`` is that of all heads of the mask on the held-out prompts, NaN where nobody asked.
    ``seconds`` and ``flops``: what it added to what earlier trials had measured.
    """

    number: int
    settings: Settings
    mask_size: int
    mask_faithfulness: float
    outcome: Outcome | None
    pruned: str
    seconds: float
    flops: float

    @property
    def size(self) -> int:
        """Heads of the circuit, 0 if pruned."""
        return 0 if self.outcome is None else len(self.outcome.heads)

    @property
    def edges(self) -> int:
        return 0 if self.outcome is None else self.outcome.edges

    @property
    def faithfulness(self) -> float:
        """NaN if pruned."""
        return NAN if self.outcome is None else self.outcome.faithfulness

    @property
    def performance(self) -> float:
        """In percent, NaN if pruned."""
        return NAN if self.outcome is None else self.outcome.performance

    @property
    def estimated(self) -> bool:
        return self.outcome is not None and self.outcome.estimated


@dataclass(frozen=True)
class Seeds:
    """Of the prompts effects are measured on, those trials are compared on, and those a circuit is reported on.

    A task of one's own has no other prompts: then all three are the same, and ``fresh`` is False.
    """

    search: int
    held_out: int
    report: int

    @property
    def fresh(self) -> bool:
        return len({self.search, self.held_out, self.report}) == 3


@dataclass(frozen=True, eq=False)
class Tuning:
    """All trials in order, the front smallest first, the one taken and why.

    ``wanted`` trials were asked for; fewer are here if it was stopped (``complete`` False), and then the one taken
    may still rest on estimates. ``kept`` of them came from an earlier sitting. ``cost`` is all that trials took,
    earlier sittings too, and before it what scores took that cost a backward pass. ``n`` held-out pairs.
    """

    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    chosen: Trial
    reason: str
    seeds: Seeds
    n: int
    ablation: Ablation
    wanted: int
    kept: int
    complete: bool
    cost: tuple[CostRow, ...]

    @property
    def pruned(self) -> int:
        """Trials that were not searched."""
        return sum(trial.outcome is None for trial in self.trials)


def choose(trials: Sequence[Trial]) -> tuple[tuple[Trial, ...], Trial, str]:
    """The front, the trial taken, and why; raises HeadlightError if none was searched."""
    searched = [trial for trial in trials if trial.outcome is not None]
    if not searched:
        raise HeadlightError(
            f"Expected a trial with a circuit, got none in {len(trials)}: {_why_none(trials)}. "
            "Ask for more trials, or choose a task the model can do."
        )
    front = pareto_front(searched, faithfulness_of)
    enough = [trial for trial in front if trial.faithfulness >= ENOUGH_FAITHFULNESS]
    if enough:
        return front, enough[0], f"the smallest circuit with a faithfulness of at least {ENOUGH_FAITHFULNESS:g}"
    why = f"no circuit has a faithfulness of {ENOUGH_FAITHFULNESS:g}"
    point = knee(front, faithfulness_of)
    if point is not None:
        return front, point, f"{why}, so the knee of the front is taken"
    return front, front[-1], f"{why} and the front has no knee, so its most faithful is taken"


def faithfulness_of(trial: Trial) -> float:
    return trial.faithfulness


def _why_none(trials: Sequence[Trial]) -> str:
    reasons = dict.fromkeys(trial.pruned for trial in trials)
    return "; ".join(reasons) or "there were no trials"
