"""Is the circuit better than chance? Random circuits of its size, ablated in the same way.

1. same size:   as many heads as the circuit has, anywhere in the model
2. same layers: in every layer as many heads as the circuit has there, which also matches where it is

K sets of each, seeded; a set may share heads with the circuit. The band is the smallest, median and largest
faithfulness of the K. The circuit beats a set that has a lower faithfulness.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from engine.evaluation.faithfulness import faithfulness_of
from engine.evaluation.minimality import MaskMetric, Tick
from engine.evaluation.scale import Scale

RANDOM_CIRCUITS = 20


class Draw(StrEnum):
    """What a random circuit has in common with the real one."""

    SAME_SIZE = "same size"
    SAME_LAYERS = "same layers"


@dataclass(frozen=True)
class RandomCircuits:
    """``metric`` and ``faithfulness`` of every set, in the order drawn; ``circuit`` is the real one's faithfulness."""

    draw: Draw
    metric: tuple[float, ...]
    faithfulness: tuple[float, ...]
    circuit: float
    seed: int
    note: str

    @property
    def band(self) -> tuple[float, float, float]:
        """Smallest, median and largest faithfulness."""
        values = torch.tensor(self.faithfulness, dtype=torch.float64)
        return float(values.min()), float(values.quantile(0.5)), float(values.max())

    @property
    def beaten(self) -> float:
        """Share of the sets with a lower faithfulness than the circuit; NaN where there are no shares."""
        if not torch.tensor([self.circuit, *self.faithfulness]).isfinite().all():
            return float("nan")
        return sum(value < self.circuit for value in self.faithfulness) / len(self.faithfulness)


def measure_random_circuits(
    metric: MaskMetric, keep: Tensor, circuit: Tensor, scale: Scale, draw: Draw, draws: int = RANDOM_CIRCUITS,
    tick: Tick = lambda done, total: None,
) -> RandomCircuits | None:  # fmt: skip
    """``draws`` sets beside the circuit ``keep [layer head]``, whose metric is ``circuit [pair]``.

    None where there is no other set to draw (no heads, or all).
    """
    if not has_others(keep, draw):
        return None
    rows = []
    for done, mask in enumerate(random_masks(keep, draw, draws, scale.seed), start=1):
        rows.append(metric(mask))
        tick(done, draws)
    values = torch.stack(rows)  # [draw pair]
    return RandomCircuits(
        draw=draw,
        metric=tuple(values.mean(dim=-1).tolist()),
        faithfulness=tuple(faithfulness_of(values, scale.clean, scale.corrupted).tolist()),
        circuit=float(faithfulness_of(circuit, scale.clean, scale.corrupted)),
        seed=scale.seed,
        note=scale.note,
    )


def has_others(keep: Tensor, draw: Draw) -> bool:
    """Whether another set of its kind exists."""
    rows = keep.reshape(1, -1) if draw is Draw.SAME_SIZE else keep
    return bool((rows.any(dim=1) & ~rows.all(dim=1)).any())


def random_masks(keep: Tensor, draw: Draw, draws: int, seed: int) -> list[Tensor]:
    """Keep masks ``[layer head]``."""
    generator = torch.Generator().manual_seed(seed)
    if draw is Draw.SAME_SIZE:
        return [_shuffled(keep.flatten(), generator).reshape(keep.shape) for _ in range(draws)]
    return [torch.stack([_shuffled(layer, generator) for layer in keep]) for _ in range(draws)]


def _shuffled(row: Tensor, generator: torch.Generator) -> Tensor:
    return row[torch.randperm(len(row), generator=generator)]
