"""Clean/corrupted prompt pairs: the data every stage works on (METHOD section 2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import torch
from torch import Tensor


class Metric(StrEnum):
    """How a pair's answer and distractor tokens become one number at the end position.

    LOGIT_DIFF      mean logit of the answers - mean logit of the distractors
    LOGIT_DIFF_MAX  mean logit of the answers - largest logit of the distractors
    PROB_DIFF       summed probability of the answers - that of the distractors
    """

    LOGIT_DIFF = "logit_diff"
    LOGIT_DIFF_MAX = "logit_diff_max"
    PROB_DIFF = "prob_diff"


@dataclass(frozen=True)
class PromptPair:
    """One clean and one corrupted prompt of equal token length.

    Tokens after the end position cannot matter in a causal model, so prompts stop there and the
    end position is always the last one. ``template_group`` numbers the prompts that share template
    and token length: mean ablation averages within it.
    """

    clean: str
    corrupted: str
    clean_tokens: tuple[int, ...]
    corrupted_tokens: tuple[int, ...]
    answer_tokens: tuple[int, ...]
    distractor_tokens: tuple[int, ...]
    template_group: int

    @property
    def end_position(self) -> int:
        return len(self.clean_tokens) - 1


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """Pairs of one token length: they run through the model together, unpadded."""

    pairs: tuple[PromptPair, ...]
    indices: tuple[int, ...]  # position of each pair in Prompts.pairs
    clean: Tensor  # [batch pos] token ids
    corrupted: Tensor  # [batch pos] token ids

    @cached_property
    def first_difference(self) -> int:
        """First position at which any pair's prompts differ: nothing changes before it."""
        columns = (self.clean != self.corrupted).any(dim=0).nonzero()
        return int(columns[0]) if len(columns) else self.clean.shape[1] - 1

    def of_pairs(self, pairs: slice) -> PromptBatch:
        """Some of the pairs, as views."""
        return PromptBatch(self.pairs[pairs], self.indices[pairs], self.clean[pairs], self.corrupted[pairs])


@dataclass(frozen=True)
class Prompts:
    """The N pairs of one task, and the metric read from them."""

    task: str
    metric: Metric
    pairs: tuple[PromptPair, ...]

    def __len__(self) -> int:
        return len(self.pairs)

    def batches(self, max_rows: int | None = None) -> Iterator[PromptBatch]:
        """Pairs grouped by token length, shortest first; order within a batch is theirs.

        A batch has at most ``max_rows`` rows (pair x position), but at least one pair.
        """
        lengths = sorted({len(pair.clean_tokens) for pair in self.pairs})
        for length in lengths:
            indices = tuple(i for i, pair in enumerate(self.pairs) if len(pair.clean_tokens) == length)
            size = len(indices) if max_rows is None else max(1, max_rows // length)
            for first in range(0, len(indices), size):
                yield self._batch(indices[first : first + size])

    def _batch(self, indices: tuple[int, ...]) -> PromptBatch:
        pairs = tuple(self.pairs[i] for i in indices)
        return PromptBatch(
            pairs=pairs,
            indices=indices,
            clean=torch.tensor([pair.clean_tokens for pair in pairs]),
            corrupted=torch.tensor([pair.corrupted_tokens for pair in pairs]),
        )
