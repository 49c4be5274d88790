"""What figures need of the pipeline's results, so that drawing depends on no stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.cliffs import Cliffs


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


SCORE_NAMES = {"flap": "FLAP", "contrastive_flap": "C-FLAP"}
