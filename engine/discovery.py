"""What one run found, from its prompts to its verified circuit: the result of engine/pipeline.py."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.baseline import Baseline
from engine.circuit import Circuit
from engine.cost.ledger import CostRow
from engine.patching.screening import Screening
from engine.pruning.sparsity_sweep import Pruning
from engine.scores.head_scores import HeadScores
from engine.scoring.mlp_scores import MlpScores
from engine.search.grid import Grid, thresholds_of
from engine.search.path_patching import SearchStep, Thresholds
from engine.settings import Settings
from engine.tasks.prompts import Prompts
from engine.trust.self_check import SelfCheck
from engine.trust.self_tests import SelfTests
from engine.tuning.results import Tuning
from engine.verification import Verification


@dataclass(frozen=True, eq=False)
class Discovery:
    """Everything one run found.

    ``complete`` is False after a cancel: the circuit is what had been found by then, and not verified.
    ``pruning`` is None unless the sparsity was automatic, ``check`` where there was no fast path to check,
    ``self_tests`` if the run was stopped before them, ``screening`` unless effects were screened, ``grid``
    unless it was asked for and finished; then ``steps`` and ``circuit`` are those of its chosen point.
    ``predicted`` was computed before the search. ``tuning`` is what the settings were taken from, where they
    were chosen automatically.
    """

    settings: Settings
    prompts: Prompts
    baseline: Baseline
    scores: HeadScores
    keep: Tensor  # [layer head], with a last column for MLPs where they are nodes
    pruning: Pruning | None
    check: SelfCheck | None
    self_tests: SelfTests | None
    steps: tuple[SearchStep, ...]
    circuit: Circuit
    verification: Verification | None
    screening: Screening | None
    grid: Grid | None
    predicted: tuple[CostRow, ...]
    cost: tuple[CostRow, ...]
    complete: bool
    tuning: Tuning | None = None
    mlp_scores: MlpScores | None = None  # where MLPs are nodes

    @property
    def thresholds(self) -> Thresholds | None:
        """Those the circuit was found with; None if a grid was cancelled before a pair was taken, and for another
        algorithm than path patching."""
        if not self.settings.grid:
            return next(iter(thresholds_of(self.settings)), None)
        return None if self.grid is None else self.grid.taken.thresholds
