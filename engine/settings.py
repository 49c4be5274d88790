"""What one run is asked to do: frozen, hashable, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.errors import HeadlightError
from engine.merge import check_union
from engine.pruning import check_sparsity
from engine.tasks.prompts import Metric


class Method(StrEnum):
    """APP searches inside a keep mask, dense path patching among all heads."""

    APP = "app"
    DENSE = "dense"


class Mode(StrEnum):
    """How effects on heads are measured.

    exact     every one by running the patched model
    screened  all by a first-order estimate, then exactly wherever that decides who is important
    """

    EXACT = "exact"
    SCREENED = "screened"


class Score(StrEnum):
    """Which head score makes the keep mask at a fixed sparsity; merged is the union of both masks."""

    CONTRASTIVE_FLAP = "contrastive_flap"
    FLAP = "flap"
    MERGED = "merged"


@dataclass(frozen=True)
class Settings:
    """One run. Raises HeadlightError for values outside their range.

    ``sparsity`` None means automatic: cliff points of both scores, nine unions, the chosen one, or the one that
    ``union`` names (engine/merge.py).
    ``grid`` tries the 16 pairs of METHOD section 2.8 instead of the one of ``threshold_scale`` and
    ``min_effect``. ``mlps``: MLPs are nodes too (engine/patching/mlp_nodes.py). ``memory_budget`` is in bytes (None: a
    share of what is free) and never changes a result.
    """

    model: str = "smollm2-135m"
    task: str = "ioi"
    pairs: int = 16
    seed: int = 0
    method: Method = Method.APP
    sparsity: float | None = None
    score: Score = Score.CONTRASTIVE_FLAP
    union: str | None = None
    mode: Mode = Mode.SCREENED
    threshold_scale: float = 2.0
    min_effect: float = 0.01
    grid: bool = False
    metric: Metric | None = None
    prepend_bos: bool = False
    device: str = "cpu"
    dtype: str = "auto"
    memory_budget: float | None = None
    mlps: bool = False

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise HeadlightError(f"Expected at least 1 prompt pair, got {self.pairs}. Ask for 8 to 100.")
        if self.sparsity is not None:
            check_sparsity(self.sparsity)
        if self.union is not None:
            check_union(self.union)
        if self.union is not None and self.sparsity is not None:
            raise HeadlightError(
                f"Expected a union or a sparsity, got both: {self.union} and {self.sparsity:g}. A union has the "
                "sparsities of its cliffs, so leave one of the two out."
            )
        if not (math.isfinite(self.threshold_scale) and self.threshold_scale >= 0):
            raise HeadlightError(f"Expected a threshold scale of 0 or more, got {self.threshold_scale:g}. Try 2.")
        if not (math.isfinite(self.min_effect) and 0 <= self.min_effect <= 1):
            raise HeadlightError(f"Expected a smallest effect from 0 to 1, got {self.min_effect:g}. Try 0.01.")

    def densely(self) -> Settings:
        """The same run among all heads: what only a keep mask needs stands at its default."""
        return replace(self, method=Method.DENSE, sparsity=None, score=Settings.score, union=None)

    @property
    def report_seed(self) -> int:
        """Seed of the prompts a circuit is verified on: never those it was found on."""
        return self.seed + 1
