"""Every metric of an evaluation on vectors small enough to work out by hand."""

import math

import pytest
import torch

from engine.ablation import Ablation
from engine.evaluation.accuracy import measure_accuracy
from engine.evaluation.completeness import measure_completeness
from engine.evaluation.faithfulness import measure_faithfulness
from engine.evaluation.held_out import measure_held_out
from engine.evaluation.kl import kl_divergence
from engine.evaluation.performance import measure_performance
from engine.evaluation.probability_difference import measure_probability_difference, probability_difference
from engine.evaluation.scale import Scale
from engine.metrics import faithfulness, performance
from engine.tasks.prompts import PromptPair

CLEAN, CORRUPTED = torch.tensor([4.0, 6.0]), torch.tensor([0.0, 2.0])  # means 5 and 1
SCALE = Scale(CLEAN, CORRUPTED, seed=0)
SAME = Scale(CLEAN.double(), CLEAN.double() + 1e-7, seed=0)


def pair(answers, distractors):
    return PromptPair("", "", (0,), (0,), answers, distractors, 0)


def test_faithfulness_is_the_share_of_the_fall_that_is_kept():
    found = measure_faithfulness(torch.tensor([3.0, 5.0]), SCALE, Ablation.ZERO)
    assert found.faithfulness.value == pytest.approx((4 - 1) / (5 - 1))
    # One less than clean and three more than corrupted on every pair: the ratio is the same in every drawing.
    assert (found.faithfulness.low, found.faithfulness.high) == pytest.approx((0.75, 0.75))
    assert (found.circuit.value, found.clean.value, found.corrupted.value) == (4, 5, 1)
    assert (found.clean.low, found.clean.high) == (4, 6)
    assert found.ablation is Ablation.ZERO and found.note == ""


def test_without_a_fall_faithfulness_is_undefined_and_the_metrics_stand():
    found = measure_faithfulness(torch.tensor([3.0, 5.0]), SAME, Ablation.MEAN)
    assert math.isnan(found.faithfulness.value) and "same on clean and corrupted prompts (5 and 5)" in found.note
    assert (found.circuit.value, found.clean.value) == (4, 5)
    assert math.isnan(faithfulness(4.0, 5.0, 5.0)) and math.isnan(performance(4.0, 0.0))


def test_a_small_fall_is_said_to_be_unsure():
    small = Scale(CLEAN, CLEAN - 0.9, seed=0)  # 18 %
    assert small.defined and "so small a fall are unsure" in small.note
    assert Scale(CLEAN, CLEAN - 1.1, seed=0).note == ""
    assert "unsure" in Scale(CLEAN, CLEAN + 1, seed=0).note  # corruption raises it


def test_performance_is_a_percentage_of_the_model_alone():
    found = measure_performance(torch.tensor([3.0, 5.0]), SCALE, Ablation.MEAN)
    assert found.performance.value == pytest.approx(80) and found.note == ""
    # Drawn alone, the pairs give 75 and 83.3.
    assert (found.performance.low, found.performance.high) == pytest.approx((75, 100 * 5 / 6))
    nothing = measure_performance(CLEAN, Scale(torch.tensor([1.0, -1.0]), CORRUPTED, seed=0), Ablation.MEAN)
    assert math.isnan(nothing.performance.value) and "metric is 0" in nothing.note


def test_accuracy_counts_pairs_above_nothing():
    scale = Scale(torch.tensor([1.0, 2.0, -1.0, 3.0]), torch.zeros(4), seed=0)
    found = measure_accuracy(torch.tensor([1.0, -1.0, 2.0, 0.0]), scale)
    assert (found.circuit.value, found.model.value, found.difference.value) == (0.5, 0.75, -0.25)


def test_kl_in_nats():
    model, circuit = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log(), torch.tensor([[0.25, 0.75], [0.25, 0.75]]).log()
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    torch.testing.assert_close(kl_divergence(model, circuit + 3), torch.tensor([expected, 0.0], dtype=torch.float64))
    backwards = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert float(kl_divergence(circuit[0], model[0])) == pytest.approx(backwards) != pytest.approx(expected)
    certain = torch.tensor([0.0, float("-inf")])
    assert float(kl_divergence(certain, torch.zeros(2))) == pytest.approx(math.log(2))


def test_probability_difference_sums_answers_and_distractors():
    pairs = (pair((0, 1), (2,)), pair((3,), (0, 2)))
    logits = torch.tensor([[0.1, 0.2, 0.4, 0.3], [0.1, 0.2, 0.4, 0.3]]).log()
    circuit = probability_difference(logits, pairs)
    torch.testing.assert_close(circuit, torch.tensor([0.3 - 0.4, 0.3 - 0.5]))
    found = measure_probability_difference(circuit, torch.tensor([0.5, 0.7]), SCALE)
    values = (found.circuit.value, found.model.value, found.difference.value)
    assert values == pytest.approx((-0.15, 0.6, -0.75))


def test_completeness_is_what_is_left_beside_the_floor():
    # 1 + .8 left of a fall of 4; without any head .4.
    found = measure_completeness(CORRUPTED + 0.8, CORRUPTED + 0.4, SCALE, Ablation.MEAN)
    assert (found.left.value, found.floor.value, found.excess.value) == pytest.approx((0.2, 0.1, 0.1))
    assert (found.excess.low, found.excess.high) == pytest.approx((0.1, 0.1))
    assert found.metric.value == pytest.approx(1.8) and "knocked out faithfulness is 0.20" in found.words
    undefined = measure_completeness(CLEAN, CLEAN, SAME, Ablation.MEAN)
    assert not undefined.left.defined and undefined.words == SAME.note


def test_the_gap_of_selection_and_report():
    fresh = Scale(torch.tensor([10.0, 10.0, 10.0]), torch.zeros(3), seed=1)
    found = measure_held_out(torch.tensor([3.0, 5.0]), SCALE, torch.tensor([4.0, 5.0, 6.0]), fresh)
    assert (found.selection.value, found.fresh.value, found.gap.value) == pytest.approx((0.75, 0.5, 0.25))
    assert found.gap.low == pytest.approx(0.75 - found.fresh.high) and found.gap.n == 2
    assert (found.selection_seed, found.fresh_seed) == (0, 1)
