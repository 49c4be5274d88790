import math

import pytest
import torch

from engine.metrics import Readout, effect, faithfulness, performance
from engine.tasks.prompts import Metric, PromptPair

CPU = torch.device("cpu")


def pair(answers, distractors):
    return PromptPair("", "", (0,), (0,), answers, distractors, 0)


PAIRS = (pair((3,), (1, 4)), pair((1, 3), (0,)))
# Vocabulary of 5; one row a pair.
LOGITS = torch.tensor([[9.0, 2.0, 9.0, 5.0, 3.0], [1.0, 6.0, 9.0, 2.0, 9.0]])


def read(metric):
    readout = Readout.of(PAIRS, metric, 5, CPU)
    return readout(LOGITS if readout.tokens is None else LOGITS[:, readout.tokens])


def test_logit_difference_is_mean_answer_minus_mean_distractor():
    torch.testing.assert_close(read(Metric.LOGIT_DIFF), torch.tensor([5 - 2.5, 4 - 1.0]))


def test_logit_difference_to_the_largest_distractor():
    torch.testing.assert_close(read(Metric.LOGIT_DIFF_MAX), torch.tensor([5 - 3.0, 4 - 1.0]))


def test_probability_difference_is_over_the_whole_vocabulary():
    weights = [math.exp(v) for v in LOGITS[0].tolist()]
    expected = (weights[3] - weights[1] - weights[4]) / sum(weights)
    assert read(Metric.PROB_DIFF)[0].item() == pytest.approx(expected, abs=1e-6)


def test_only_the_logits_of_answers_and_distractors_are_needed():
    assert Readout.of(PAIRS, Metric.LOGIT_DIFF, 5, CPU).tokens.tolist() == [0, 1, 3, 4]
    assert Readout.of(PAIRS, Metric.PROB_DIFF, 5, CPU).tokens is None


def test_a_leading_sender_axis_is_carried_through():
    readout = Readout.of(PAIRS, Metric.LOGIT_DIFF, 5, CPU)
    stacked = torch.stack([LOGITS, LOGITS + 7])[..., readout.tokens]
    torch.testing.assert_close(readout(stacked), torch.tensor([[2.5, 3.0], [2.5, 3.0]]))


def test_effect_is_zero_at_clean_and_minus_one_at_corrupted():
    values = effect(torch.tensor([4.0, 1.0, 2.5, 5.5]), clean=4.0, corrupted=1.0)
    torch.testing.assert_close(values, torch.tensor([0.0, -1.0, -0.5, 0.5]))


def test_performance_and_faithfulness_are_different_numbers():
    assert performance(3.0, clean=4.0) == 75.0
    assert faithfulness(3.0, clean=4.0, corrupted=2.0) == 0.5
    assert performance(2.0, clean=4.0) == 50.0  # an ablated model is not at 0 %
    assert faithfulness(2.0, clean=4.0, corrupted=2.0) == 0.0
