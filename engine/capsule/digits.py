"""How far two measurements of the same quantity agree: pure.

1. Largest absolute difference d of all entries, and d over the size of the quantity: its largest kept entry, or its
   unit where that is more (a faithfulness near 0 is still told in units of 1).
2. Significant digits that agree: floor(-log10(d / size)); all of them where d is 0.
3. Entries measured on one side alone: no digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Agreement:
    """Of one quantity with ``entries`` numbers. ``digits`` None: equal bit for bit.

    ``largest`` and ``relative`` are NaN where entries were measured on one side alone.
    """

    name: str
    entries: int
    largest: float
    relative: float
    digits: int | None

    def reaches(self, digits: int) -> bool:
        """Whether at least so many digits agree."""
        return self.digits is None or self.digits >= digits

    @property
    def words(self) -> str:
        if self.digits is None:
            return "equal to the last digit"
        if math.isnan(self.largest):
            return "other entries were measured"
        counted = "1 digit agrees" if self.digits == 1 else f"{self.digits} digits agree"
        return f"{counted}, largest difference {self.largest:.2g} (relative {self.relative:.1g})"


def agreement(name: str, kept: Tensor | float, again: Tensor | float, unit: float = 0.0) -> Agreement:
    """Of numbers kept and measured again, single or of one shape; NaN is "not measured" and must be on both sides."""
    one, other = (torch.as_tensor(value, dtype=torch.float64) for value in (kept, again))
    if one.shape != other.shape or not torch.equal(one.isnan(), other.isnan()):
        return Agreement(name, one.numel(), math.nan, math.nan, 0)
    one, other = one[~one.isnan()], other[~other.isnan()]
    largest = float((one - other).abs().max()) if len(one) else 0.0
    size = max(float(one.abs().max()) if len(one) else 0.0, unit)
    relative = 0.0 if largest == 0 else largest / size if size else math.inf
    return Agreement(name, len(one), largest, relative, _digits(relative))


def _digits(relative: float) -> int | None:
    if relative == 0:
        return None
    return max(0, math.floor(-math.log10(relative))) if math.isfinite(relative) else 0
