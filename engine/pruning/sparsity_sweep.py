"""How performance falls as heads are pruned, and which keep mask to search in (METHOD 2.4 – 2.6).

1. For each score, every sparsity of the sweep: keep its heads, ablate the rest by their corrupted
   mean, read the metric. Masks shrink step by step, so each resumes where it differs from the last.
2. Cliff points of both curves.
3. The nine unions of cliff masks and the choice among them.
4. For scale: random head sets of the same sizes; on request, the curve of any other score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from engine.ablation import Ablator
from engine.cost.ledger import CostRow, Ledger, pass_flops
from engine.metrics import faithfulness, performance
from engine.notes.journal import Journal
from engine.notes.noted_metrics import NotedMetrics
from engine.notes.notes import Notes
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.pruning.cliffs import Cliffs, find_cliffs
from engine.pruning.masks import SWEEP_SPARSITIES, keep_mask
from engine.pruning.merge import Choice, Merge, check_union, choose, nine_merges
from engine.scores.kinds import Score

STAGE = "sparsity sweep"
PAPER_SCORES = (Score.CONTRASTIVE_FLAP, Score.FLAP)
NOTED_TOGETHER = 10  # masks whose metrics are noted at once: a crash costs as many at most
BAND_STAGE = "random heads"
BAND_DRAWS = 5
BAND_SPARSITIES = SWEEP_SPARSITIES[::10] + SWEEP_SPARSITIES[95:]


@dataclass(frozen=True)
class Sweep:
    """One score's curve, by mean ablation: sizes in heads, performance in percent, faithfulness a ratio."""

    score: str
    sparsities: tuple[float, ...]
    sizes: tuple[int, ...]
    performance: tuple[float, ...]
    faithfulness: tuple[float, ...]
    cliffs: Cliffs


@dataclass(frozen=True)
class RandomBand:
    """Performance in percent of ``draws`` random head sets at each size: smallest, median, largest."""

    sparsities: tuple[float, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]
    draws: int


@dataclass(frozen=True, eq=False)
class Pruning:
    """Both curves, the nine unions and the one chosen."""

    sweeps: Mapping[str, Sweep]
    merges: tuple[Merge, ...]
    choice: Choice
    cost: tuple[CostRow, ...]

    def taken(self, union: str | None) -> Merge:
        """The union to search in: the one named (merge.UNION_NAMES), or the automatic choice.

        Raises HeadlightError for a name that is none.
        """
        if union is None:
            return self.choice.merge
        name = check_union(union)
        return next(merge for merge in self.merges if merge.name == name)


def prune(prepared: Prepared, watcher: Watcher, journal: Journal | None = None) -> Pruning:
    """Sweep both scores and choose a union; the work of ``--sparsity auto``.

    What ``journal`` has of it is not done again.
    """
    ledger = Ledger(pass_flops(prepared.model, prepared.prompts), watcher.spend, watcher.now)
    total = len(PAPER_SCORES) * len(SWEEP_SPARSITIES)
    with ledger.stage(STAGE):
        ablator = Ablator(prepared.model, prepared.activations, ledger)
        noted = NotedMetrics(ablator, Notes(journal or Journal(), ledger), "sweep", NOTED_TOGETHER)
        sweeps = {}
        for number, score in enumerate(PAPER_SCORES):
            sweeps[score.value] = _sweep(prepared, noted, score, watcher, number * len(SWEEP_SPARSITIES), total)
        merges = nine_merges(
            prepared.scores.flap,
            prepared.scores.contrastive_flap,
            sweeps["flap"].cliffs,
            sweeps["contrastive_flap"].cliffs,
            lambda mask: performance(noted.metric(mask), prepared.activations.clean),
        )
        noted.close()
    choice = choose(merges, prepared.scores.flap.numel())
    return Pruning(sweeps, merges, choice, ledger.rows())


def sweep_of(prepared: Prepared, score: Score, watcher: Watcher) -> Sweep:
    """The curve of one further score, which takes no part in the unions.

    Raises HeadlightError if it has not been measured, Cancelled when stopped.
    """
    ledger = Ledger(pass_flops(prepared.model, prepared.prompts), watcher.spend, watcher.now)
    with ledger.stage(STAGE):
        ablator = Ablator(prepared.model, prepared.activations, ledger)
        return _sweep(prepared, ablator, score, watcher, 0, len(SWEEP_SPARSITIES))


def _sweep(
    prepared: Prepared, ablator: Ablator | NotedMetrics, score: Score, watcher: Watcher, done: int, total: int
) -> Sweep:
    sizes, values = [], []
    for step, sparsity in enumerate(SWEEP_SPARSITIES):
        mask = prepared.scores.keep(score, sparsity)
        sizes.append(int(mask.sum()))
        # Small models have fewer masks than steps: an unchanged mask has an unchanged metric.
        unchanged = step > 0 and sizes[-1] == sizes[-2]
        values.append(values[-1] if unchanged else ablator.metric(mask))
        watcher.step(STAGE, done + step + 1, total)
    clean, corrupted = prepared.activations.clean, prepared.activations.corrupted
    curve = tuple(performance(value, clean) for value in values)
    return Sweep(
        score=score.value,
        sparsities=SWEEP_SPARSITIES,
        sizes=tuple(sizes),
        performance=curve,
        faithfulness=tuple(faithfulness(value, clean, corrupted) for value in values),
        cliffs=find_cliffs(SWEEP_SPARSITIES, curve),
    )


def random_band(prepared: Prepared, watcher: Watcher) -> RandomBand:
    """Random head sets, nested within each draw and seeded by the run's seed."""
    ledger = Ledger(pass_flops(prepared.model, prepared.prompts), watcher.spend, watcher.now)
    generator = torch.Generator().manual_seed(prepared.settings.seed)
    curves = []
    with ledger.stage(BAND_STAGE):
        ablator = Ablator(prepared.model, prepared.activations, ledger)
        for draw in range(BAND_DRAWS):
            order = torch.rand(prepared.scores.flap.shape, generator=generator)
            curve = []
            for step, sparsity in enumerate(BAND_SPARSITIES):
                value = ablator.metric(keep_mask(order, sparsity))
                curve.append(performance(value, prepared.activations.clean))
                watcher.step(BAND_STAGE, draw * len(BAND_SPARSITIES) + step + 1, BAND_DRAWS * len(BAND_SPARSITIES))
            curves.append(curve)
    table = torch.tensor(curves)  # draw sparsity
    return RandomBand(
        sparsities=BAND_SPARSITIES,
        low=tuple(table.amin(0).tolist()),
        median=tuple(table.median(0).values.tolist()),
        high=tuple(table.amax(0).tolist()),
        draws=BAND_DRAWS,
    )
