"""What one run is asked to do: frozen, hashable, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.errors import HeadlightError
from engine.pruning.masks import check_sparsity
from engine.pruning.merge import check_union
from engine.scores.kinds import Score, Source
from engine.tasks.prompts import Metric


class Method(StrEnum):
    """APP searches inside a keep mask, dense path patching among all heads."""

    APP = "app"
    DENSE = "dense"


class Algorithm(StrEnum):
    """How edges are chosen among the candidates.

    path_patching  those whose effect on their receiver stands out, from the logits back (engine/search/)
    acdc           all but those that can be taken out, one by one, without a loss above the tolerance (acdc.py there)
    eap            the strongest by a first-order score of every edge at once (eap.py there)
    eap_ig         the same with gradients averaged on the way from the corrupted to the clean embeddings
    """

    PATH_PATCHING = "path_patching"
    ACDC = "acdc"
    EAP = "eap"
    EAP_IG = "eap_ig"


ATTRIBUTING = (Algorithm.EAP, Algorithm.EAP_IG)


class Mode(StrEnum):
    """How effects on heads are measured.

    exact     every one by running the patched model
    screened  all by a first-order estimate, then exactly wherever that decides who is important
    """

    EXACT = "exact"
    SCREENED = "screened"


@dataclass(frozen=True)
class Settings:
    """One run. Raises HeadlightError for values outside their range.

    ``sparsity`` None means automatic: cliff points of both scores, nine unions, the chosen one, or the one that
    ``union`` names (engine/pruning/merge.py). ``flap_sparsity`` is FLAP's own for merged masks, where it differs from
    ``sparsity``, which then is Contrastive-FLAP's alone.
    ``grid`` tries the 16 pairs of METHOD section 2.8 instead of the one of ``threshold_scale`` and
    ``min_effect``; all three belong to path patching, and so do ``mlps``, MLPs as nodes too
    (engine/patching/mlp_nodes.py). Of the other algorithms acdc has its ``tolerance``, in units of
    f, eap and eap_ig the ``top_edges`` they take; ``mode`` is of path patching and acdc.
    ``memory_budget`` is in bytes (None: a share of what is free) and never changes a result.
    """

    model: str = "smollm2-135m"
    task: str = "ioi"
    pairs: int = 16
    seed: int = 0
    method: Method = Method.APP
    sparsity: float | None = None
    flap_sparsity: float | None = None
    score: Score = Score.CONTRASTIVE_FLAP
    union: str | None = None
    mode: Mode = Mode.SCREENED
    algorithm: Algorithm = Algorithm.PATH_PATCHING
    top_edges: int = 100
    tolerance: float = 0.01
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
        if self.flap_sparsity is not None:
            self._check_flap_sparsity(self.flap_sparsity)
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
        self._check_algorithm()

    def _check_algorithm(self) -> None:
        if self.top_edges < 1:
            raise HeadlightError(f"Expected at least 1 edge to take, got {self.top_edges}. Ask for 10 to 1000.")
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise HeadlightError(f"Expected a tolerance of 0 or more, got {self.tolerance:g}. Try 0.01.")
        if self.grid and self.algorithm is not Algorithm.PATH_PATCHING:
            raise HeadlightError(
                f"Expected no grid with {self.algorithm.value}, got one: it tries thresholds, which only path patching "
                "has. Leave the grid out."
            )
        if self.mlps and self.algorithm is not Algorithm.PATH_PATCHING:
            raise HeadlightError(
                f"Expected heads alone with {self.algorithm.value}, got MLPs as nodes too, which only path patching "
                "knows. Leave them out, or choose path_patching."
            )

    @property
    def score_source(self) -> Source:
        """What the score of the keep mask is measured from: the first runs, unless a fixed sparsity asks for more."""
        fixed = self.method is Method.APP and self.sparsity is not None
        return self.score.source if fixed else Source.RUNS

    def _check_flap_sparsity(self, sparsity: float) -> None:
        check_sparsity(sparsity)
        if self.score is not Score.MERGED or self.sparsity is None:
            raise HeadlightError(
                f"Expected FLAP's own sparsity beside a sparsity and the score merged, got {sparsity:g} beside "
                f"{'an automatic sparsity' if self.sparsity is None else f'the score {self.score.value}'}. Leave it "
                "out, or set both: it is the sparsity of one of the two masks that merged unites."
            )

    def densely(self) -> Settings:
        """The same run among all heads: what only a keep mask needs stands at its default."""
        return replace(
            self, method=Method.DENSE, sparsity=None, flap_sparsity=None, score=Settings.score, union=None
        )

    def standard(self) -> Settings:
        """The dense path patching that another search of the same model and prompts is held against."""
        return replace(
            self.densely(), algorithm=Algorithm.PATH_PATCHING, top_edges=Settings.top_edges,
            tolerance=Settings.tolerance,
        )  # fmt: skip

    @property
    def report_seed(self) -> int:
        """Seed of the prompts a circuit is verified on: never those it was found on."""
        return self.seed + 1

    @property
    def tuning_seed(self) -> int:
        """Seed of the prompts that settings are chosen by: neither those searched on nor those reported on."""
        return self.seed + 2
