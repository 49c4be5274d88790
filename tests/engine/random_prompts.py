"""Random prompt pairs for tiny models: lengths, differences and answers all over the place."""

from __future__ import annotations

import random

from engine.tasks.prompts import Metric, PromptPair, Prompts
from tests.tiny import TINY_VOCAB

LENGTHS = (7, 9)


def random_prompts(metric: Metric = Metric.LOGIT_DIFF, n: int = 5, seed: int = 0, vocab: int = TINY_VOCAB) -> Prompts:
    """``n`` pairs of two lengths, equal before position 2, in template groups of their length."""
    rng = random.Random(seed)
    return Prompts("random", metric, tuple(_pair(rng, LENGTHS[i % len(LENGTHS)], vocab) for i in range(n)))


def _pair(rng: random.Random, length: int, vocab: int) -> PromptPair:
    clean = [rng.randrange(1, vocab) for _ in range(length)]
    corrupted = clean[:2] + [rng.randrange(1, vocab) if rng.random() < 0.6 else token for token in clean[2:]]
    corrupted[3] = clean[3] % (vocab - 2) + 1
    answer, *distractors = rng.sample(range(vocab), 4)
    return PromptPair("", "", tuple(clean), tuple(corrupted), (answer,), tuple(distractors), length)
