"""Faithfulness by circuit size, with the two areas of MIB (Mueller et al. 2025, circuit track): CPR and CMD.

1. A ranking of all heads, most important first: here the circuit's heads by the largest |effect| of an edge they send,
   then all others by a head score. Its first k heads are the circuit of size k, so that the circuits are nested.
2. Sizes: floor(share · all heads) for MIB's shares .001 .002 .005 .01 .02 .05 .1 .2 .5 1, each size once. Under
   1000 heads the smallest is 0, the empty circuit.
3. Faithfulness of each, and over the share of heads x = size / all heads, by the trapezoid rule between neighbouring
   sizes, on a linear axis:
   CPR (circuit performance ratio)  = area under the faithfulness: higher is better, 1 a circuit that is always whole
   CMD (circuit-model distance)     = area of |1 - faithfulness|, taken at the sizes: lower is better, 0 the model

MIB integrates over the edges' nominal shares from .001 on; ours are heads and the share they really are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.circuit import Circuit
from engine.evaluation.bootstrap import Interval
from engine.evaluation.faithfulness import faithfulness_of
from engine.evaluation.minimality import MaskMetric, Tick
from engine.evaluation.scale import Scale
from engine.heads import Head, mask_of

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class BySize:
    """``sizes`` in heads, ascending, the last all of them; ``faithfulness`` of each; the areas."""

    ranking: tuple[Head, ...]
    sizes: tuple[int, ...]
    faithfulness: tuple[Interval, ...]
    cpr: Interval
    cmd: Interval
    note: str

    @property
    def shares(self) -> tuple[float, ...]:
        """Of all heads."""
        return tuple(size / len(self.ranking) for size in self.sizes)


def faithfulness_by_size(
    metric: MaskMetric, ranking: Sequence[Head], shape: tuple[int, int], scale: Scale,
    tick: Tick = lambda done, total: None,
) -> BySize:  # fmt: skip
    """The nested circuits of ``ranking``, which names all heads of ``shape`` (layers, heads) once."""
    sizes = sizes_of(len(ranking))
    rows = []
    for done, size in enumerate(sizes, start=1):
        rows.append(metric(mask_of(ranking[:size], *shape)))
        tick(done, len(sizes))
    values, shares = torch.stack(rows), torch.tensor(sizes, dtype=torch.float64) / len(ranking)

    def cpr(values: Tensor, clean: Tensor, corrupted: Tensor) -> Tensor:
        return area(shares, faithfulness_of(values, clean, corrupted))

    def cmd(values: Tensor, clean: Tensor, corrupted: Tensor) -> Tensor:
        return area(shares, (1 - faithfulness_of(values, clean, corrupted)).abs())

    ends = scale.clean, scale.corrupted
    return BySize(
        ranking=tuple(ranking),
        sizes=sizes,
        faithfulness=tuple(scale.interval(faithfulness_of, row, *ends) for row in rows),
        cpr=scale.interval(cpr, values, *ends),
        cmd=scale.interval(cmd, values, *ends),
        note=scale.note,
    )


def sizes_of(heads: int) -> tuple[int, ...]:
    """MIB's shares of so many heads, each size once."""
    # Rounded first: in floating point .29 of 100 is 28.999….
    return tuple(dict.fromkeys(int(round(share * heads, 6)) for share in SHARES))


def area(shares: Tensor, values: Tensor) -> Tensor:
    """Trapezoids under ``values [size ...]`` at ``shares [size]``: ``[...]``."""
    widths = shares.diff().reshape(-1, *[1] * (values.ndim - 1))
    return (widths * (values[1:] + values[:-1]) / 2).sum(dim=0)


def ranking_of(circuit: Circuit, scores: Tensor) -> tuple[Head, ...]:
    """All heads: the circuit's by their largest |effect| as a sender, then the rest by ``scores [layer head]``.

    Equal effects go by score too.
    """
    effects = {
        head: max((abs(edge.effect) for edge in circuit.edges if edge.sender == head), default=0.0)
        for head in circuit.heads
    }

    def place(head: Head) -> tuple[float, float]:
        return effects.get(head, -1.0), float(scores[head.layer, head.index])

    everyone = [Head(layer, index) for layer in range(circuit.n_layers) for index in range(circuit.n_heads)]
    return tuple(sorted(everyone, key=place, reverse=True))
