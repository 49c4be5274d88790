"""What figures need of the pipeline's results, so that drawing depends on no stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from engine.circuit import Input
from engine.cliffs import Cliff, Cliffs
from engine.heads import Head
from engine.nodes import Node
from engine.scores.kinds import TITLES

if TYPE_CHECKING:
    from torch import Tensor


class SweepLike(Protocol):
    """One score's sparsity sweep: sizes in heads, performance in percent, one entry a sparsity."""

    @property
    def score(self) -> str: ...
    @property
    def sparsities(self) -> Sequence[float]: ...
    @property
    def sizes(self) -> Sequence[int]: ...
    @property
    def performance(self) -> Sequence[float]: ...
    @property
    def cliffs(self) -> Cliffs: ...


class BandLike(Protocol):
    """Performance (percent) of random head sets of the same sizes."""

    @property
    def sparsities(self) -> Sequence[float]: ...
    @property
    def low(self) -> Sequence[float]: ...
    @property
    def median(self) -> Sequence[float]: ...
    @property
    def high(self) -> Sequence[float]: ...
    @property
    def draws(self) -> int: ...


class StepLike(Protocol):
    """One receiver searched: effects and which of them are estimates, ``[layer head]``; with a last column for MLPs if
    there are ``mlps``."""

    @property
    def mlps(self) -> bool: ...
    @property
    def receivers(self) -> Sequence[Node]: ...
    @property
    def input(self) -> Input: ...
    @property
    def effects(self) -> Tensor: ...
    @property
    def estimated(self) -> Tensor: ...
    @property
    def important(self) -> Sequence[Node]: ...


class ThresholdsLike(Protocol):
    @property
    def scale(self) -> float: ...
    @property
    def min_effect(self) -> float: ...


class GridPointLike(Protocol):
    """A pair of thresholds, and the size (heads), edges and performance (percent) of its circuit."""

    @property
    def thresholds(self) -> ThresholdsLike: ...
    @property
    def size(self) -> int: ...
    @property
    def edges(self) -> int: ...
    @property
    def performance(self) -> float: ...
    @property
    def estimated(self) -> bool: ...


class GridLike(Protocol):
    @property
    def points(self) -> Sequence[GridPointLike]: ...
    @property
    def chosen(self) -> int: ...


class UnionLike(Protocol):
    """A union of two keep masks: its size in heads and its performance in percent."""

    @property
    def name(self) -> str: ...
    @property
    def flap_cliff(self) -> Cliff: ...
    @property
    def contrastive_cliff(self) -> Cliff: ...
    @property
    def size(self) -> int: ...
    @property
    def performance(self) -> float: ...


class SettingsLike(Protocol):
    """What a trial chose: the score that prunes, its sparsity, FLAP's own in a union, and both thresholds."""

    @property
    def score(self) -> str: ...
    @property
    def sparsity(self) -> float | None: ...
    @property
    def flap_sparsity(self) -> float | None: ...
    @property
    def threshold_scale(self) -> float: ...
    @property
    def min_effect(self) -> float: ...


class TrialLike(Protocol):
    """A trial of settings: size (heads) and edges of its circuit, faithfulness a ratio (NaN if ``pruned``, a reason),
    performance in percent, both on held-out prompts."""

    @property
    def number(self) -> int: ...
    @property
    def settings(self) -> SettingsLike: ...
    @property
    def mask_size(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def edges(self) -> int: ...
    @property
    def faithfulness(self) -> float: ...
    @property
    def performance(self) -> float: ...
    @property
    def estimated(self) -> bool: ...
    @property
    def pruned(self) -> str: ...


class TuningLike(Protocol):
    """All trials, those no other beats (smallest first), and the one taken."""

    @property
    def trials(self) -> Sequence[TrialLike]: ...
    @property
    def front(self) -> Sequence[TrialLike]: ...
    @property
    def chosen(self) -> TrialLike: ...


class CostLike(Protocol):
    """What one stage takes."""

    @property
    def stage(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def forward_passes(self) -> float: ...
    @property
    def flops(self) -> float: ...


class IntervalLike(Protocol):
    """The middle 95 % of what drawings of pairs give with their median, and what all pairs give."""

    @property
    def low(self) -> float: ...
    @property
    def middle(self) -> float: ...
    @property
    def value(self) -> float: ...
    @property
    def high(self) -> float: ...


class StageLike(Protocol):
    """What ``size`` pairs would have told: mean metric, scores of the top heads, how steady their places are."""

    @property
    def size(self) -> int: ...
    @property
    def metric(self) -> IntervalLike: ...
    @property
    def scores(self) -> Sequence[IntervalLike]: ...
    @property
    def overlap(self) -> float: ...
    @property
    def unchanged(self) -> float: ...


class EnoughLike(Protocol):
    @property
    def heads(self) -> Sequence[Head]: ...
    @property
    def stages(self) -> Sequence[StageLike]: ...


KINDS = ("exact", "estimate")  # of an effect, by whether it is first-order only
SCORE_NAMES = {score.value: title for score, title in TITLES.items()}
