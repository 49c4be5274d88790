"""Logit difference and the numbers made of it (METHOD sections 1, 2.7 and 3).

A ``Readout`` knows which logits a batch's metric reads, so that a fast path unembeds those alone.
The rest are plain functions of metric values averaged over pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.tasks.prompts import Metric, PromptPair

NOTHING = 1e-6  # a difference below this share of the metric (of 1 where the metric is smaller) is none


@dataclass(frozen=True, eq=False)
class Readout:
    """Reads the metric of each pair of one batch from its logits at the end position.

    ``tokens [token]`` are the logits needed (None: all of them, for probabilities); ``answers`` and
    ``distractors [batch token]`` mark, among those, the ones of each pair.
    """

    metric: Metric
    tokens: Tensor | None
    answers: Tensor
    distractors: Tensor

    @staticmethod
    def of(pairs: Sequence[PromptPair], metric: Metric, vocab_size: int, device: torch.device) -> Readout:
        """The readout of ``pairs``, in their order."""
        wanted = tokens_read(pairs, metric, vocab_size)
        column = {token: i for i, token in enumerate(wanted)}
        answers = torch.zeros(len(pairs), len(wanted), dtype=torch.bool)
        distractors = torch.zeros_like(answers)
        for row, pair in enumerate(pairs):
            answers[row, [column[token] for token in pair.answer_tokens]] = True
            distractors[row, [column[token] for token in pair.distractor_tokens]] = True
        tokens = None if metric is Metric.PROB_DIFF else torch.tensor(wanted, device=device)
        return Readout(metric, tokens, answers.to(device), distractors.to(device))

    def of_pairs(self, pairs: slice) -> Readout:
        """The readout of some of the batch's pairs."""
        return replace(self, answers=self.answers[pairs], distractors=self.distractors[pairs])

    def repeated(self, times: int) -> Readout:
        """The readout of the batch's pairs so many times in a row."""
        return replace(self, answers=self.answers.repeat(times, 1), distractors=self.distractors.repeat(times, 1))

    def of_vocabulary(self, logits: Tensor) -> Tensor:
        """Metric ``[batch]`` of all logits ``[batch vocab]``."""
        return self(logits if self.tokens is None else logits[:, self.tokens])

    def __call__(self, logits: Tensor) -> Tensor:
        """Metric ``[... batch]`` of logits ``[... batch token]`` over ``self.tokens``."""
        if self.metric is Metric.PROB_DIFF:
            probabilities = logits.softmax(dim=-1)
            return (probabilities * self.answers).sum(-1) - (probabilities * self.distractors).sum(-1)
        answer = (logits * self.answers).sum(-1) / self.answers.sum(-1)
        if self.metric is Metric.LOGIT_DIFF_MAX:
            return answer - logits.masked_fill(~self.distractors, float("-inf")).amax(-1)
        return answer - (logits * self.distractors).sum(-1) / self.distractors.sum(-1)


def tokens_read(pairs: Sequence[PromptPair], metric: Metric, vocab_size: int) -> Sequence[int]:
    """The tokens whose logits the metric of a batch needs, in order: all of them for probabilities."""
    if metric is Metric.PROB_DIFF:
        return range(vocab_size)
    return sorted({token for pair in pairs for token in (*pair.answer_tokens, *pair.distractor_tokens)})


def end_probabilities(logits: Tensor, pairs: Sequence[PromptPair]) -> Tensor:
    """Softmax at the end position: ``[batch 2]``, summed over each pair's answers and over its distractors.

    ``logits [batch vocab]``.
    """
    probabilities = logits.float().softmax(dim=-1)
    return torch.stack(
        [
            torch.stack((row[list(pair.answer_tokens)].sum(), row[list(pair.distractor_tokens)].sum()))
            for row, pair in zip(probabilities, pairs, strict=True)
        ]
    )


def effect(patched: Tensor, clean: float, corrupted: float) -> Tensor:
    """f = (patched - clean) / (clean - corrupted): 0 nothing changed, -1 as bad as corrupted."""
    return (patched - clean) / (clean - corrupted)


def is_nothing(difference: float, metric: float) -> bool:
    """Whether a difference of metric values is too small to divide by; see ``NOTHING``."""
    return abs(difference) < NOTHING * max(1.0, abs(metric))


def performance(circuit: float, clean: float) -> float:
    """100 · LD_circuit / LD_model in percent: the paper's number. Can exceed 100; NaN if LD_model is nothing."""
    return float("nan") if is_nothing(clean, clean) else 100 * circuit / clean


def faithfulness(circuit: float, clean: float, corrupted: float) -> float:
    """(LD_circuit - LD_corrupted) / (LD_clean - LD_corrupted): 1 the whole model, 0 corrupted; NaN if they are one."""
    unit = clean - corrupted
    return float("nan") if is_nothing(unit, clean) else (circuit - corrupted) / unit
