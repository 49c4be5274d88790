"""How many pairs are enough: how sure the mean metric and the top heads' scores are at each number of pairs.

1. Every pair gives what both are made of: its clean metric, and in every channel of z the energy of its clean
   minus that of its corrupted prompt (METHOD section 2.2: Contrastive-FLAP is made of the mean of these).
2. For N = 2, 4, 8 ... and all n pairs: N of the n pairs are drawn with replacement, DRAWS times, seeded.
3. Each drawing's mean metric, and every head's score recomputed from its pairs (no forward pass); the middle 95 %
   of them is the interval. All scores are recomputed, so the top heads' places are known in each drawing too.

The pairs stand for all pairs of their templates, not for other templates. Bootstrap: Efron 1979.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.heads import Head
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.scores import contrastive_weight, head_means, prompt_energies

STAGE = "drawing pairs again"
DRAWS = 400
COVERAGE = 0.95
TOP = 5
ENOUGH_WIDTH = 0.15  # half the interval, as a share of the mean metric
ENOUGH_OVERLAP = 0.9  # of the top heads, how many stay on top


@dataclass(frozen=True)
class Interval:
    """The middle 95 % of the drawings and their median; and ``value``, which all pairs give.

    A score's drawings lie below its value where that is high: noise of few pairs raises the other channels.
    """

    low: float
    middle: float
    high: float
    value: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Stage:
    """What ``size`` pairs would have told.

    ``scores`` are Contrastive-FLAP scores of the top heads, best first. ``overlap`` is the share of the top heads
    found among the highest as many, averaged over the drawings; ``unchanged`` the share of drawings in which they
    are the same heads, in any order.
    """

    size: int
    metric: Interval
    scores: tuple[Interval, ...]
    overlap: float
    unchanged: float


@dataclass(frozen=True)
class Enough:
    """``stages`` by number of pairs, the last with all of them; ``heads`` are the top heads of all pairs."""

    heads: tuple[Head, ...]
    stages: tuple[Stage, ...]
    draws: int

    @property
    def n(self) -> int:
        return self.stages[-1].size

    @property
    def enough(self) -> bool:
        """Whether the mean metric is known to 15 % and the top heads are mostly the same in every drawing."""
        last = self.stages[-1]
        narrow = last.metric.half_width <= ENOUGH_WIDTH * abs(last.metric.value)
        return narrow and last.overlap >= ENOUGH_OVERLAP

    @property
    def needed(self) -> int:
        """Pairs at which the interval of the metric would be that narrow, an estimate: it shrinks with 1/sqrt(N)."""
        last = self.stages[-1].metric
        if not last.value:
            return self.n
        ratio = last.half_width / (ENOUGH_WIDTH * abs(last.value))
        return max(self.n, round(self.n * ratio**2))


def how_many_are_enough(prepared: Prepared, watcher: Watcher, draws: int = DRAWS) -> Enough | None:
    """Intervals at every number of pairs; None for a single pair, of which nothing can be drawn again."""
    n = len(prepared.prompts)
    if n < 2:
        return None
    counts = [drawn(n, size, draws, prepared.settings.seed) for size in sizes_up_to(n)]
    scores = resampled_scores(prepared, torch.cat([torch.full((1, n), 1 / n, dtype=torch.float64), *counts]), watcher)
    whole, *drawings = scores.flatten(1).split([1, *(len(rows) for rows in counts)])
    top = whole[0].topk(min(TOP, whole.shape[1])).indices
    metric = prepared.baseline.clean_by_pair.double()
    stages = [
        _stage(size, metric, rows, drawing, whole[0], top)
        for size, rows, drawing in zip(sizes_up_to(n), counts, drawings, strict=True)
    ]
    n_heads = prepared.model.n_heads
    return Enough(tuple(Head(i // n_heads, i % n_heads) for i in top.tolist()), tuple(stages), draws)


def sizes_up_to(n: int) -> list[int]:
    """2, 4, 8 ... and ``n`` itself."""
    return [size for size in (2**power for power in range(1, n.bit_length())) if size < n] + [n]


def drawn(n: int, size: int, draws: int, seed: int) -> Tensor:
    """Each pair's share in every drawing, ``[draw pair]``: rows add up to 1."""
    generator = torch.Generator().manual_seed(seed)
    picked = torch.randint(n, (draws, size), generator=generator)
    shares = torch.zeros(draws, n, dtype=torch.float64)
    return shares.scatter_add_(1, picked, torch.full(picked.shape, 1 / size, dtype=torch.float64))


def resampled_scores(prepared: Prepared, shares: Tensor, watcher: Watcher) -> Tensor:
    """Contrastive-FLAP scores ``[draw layer head]`` of the pairs weighted by ``shares [draw pair]``."""
    model, layers = prepared.model, []
    for layer in range(model.n_layers):
        watcher.step(STAGE, layer, model.n_layers)
        weight = contrastive_weight(model.output_weight(layer))
        difference = shares @ _energy_differences(prepared, layer)
        layers.append(head_means(weight * difference.abs(), model.n_heads))
    watcher.step(STAGE, model.n_layers, model.n_layers)
    return torch.stack(layers, dim=1)


def interval(values: Tensor, whole: float) -> Interval:
    """The middle 95 % of ``values [draw]``; ``whole`` is what all pairs give."""
    tail = (1 - COVERAGE) / 2
    low, middle, high = values.double().quantile(torch.tensor([tail, 0.5, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(low, middle, high, whole)


def _energy_differences(prepared: Prepared, layer: int) -> Tensor:
    """Energy of the clean minus that of the corrupted prompt, ``[pair channel]``."""
    batches = prepared.activations.batches
    channels = prepared.model.n_heads * prepared.model.d_head
    values = torch.empty(len(prepared.prompts), channels, dtype=torch.float64)
    for item in batches:
        clean, corrupted = (prompt_energies(z[layer].flatten(-2)) for z in (item.clean_z, item.corrupted_z))
        values[list(item.batch.indices)] = clean - corrupted
    return values


def _stage(size: int, metric: Tensor, shares: Tensor, scores: Tensor, whole: Tensor, top: Tensor) -> Stage:
    """``scores [draw all heads]`` of the drawings of ``size``; ``whole [all heads]`` those of all pairs."""
    on_top = scores.topk(len(top), dim=1).indices
    stayed = torch.isin(on_top, top).sum(dim=1)
    return Stage(
        size=size,
        metric=interval(shares @ metric, float(metric.mean())),
        scores=tuple(interval(scores[:, head], float(whole[head])) for head in top.tolist()),
        overlap=float(stayed.double().mean()) / len(top),
        unchanged=float((stayed == len(top)).double().mean()),
    )
