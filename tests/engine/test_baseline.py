import pytest

from engine.activations import capture
from engine.baseline import judge, measure_baseline
from tests.engine.random_prompts import random_prompts


def test_a_model_that_prefers_the_answer_can_do_the_task():
    capable, verdict = judge(accuracy=0.9, clean=3.0, corrupted=0.5)
    assert capable and "90%" in verdict


@pytest.mark.parametrize(("accuracy", "clean", "corrupted"), [(0.5, 0.2, -1.0), (0.8, -0.1, -2.0)])
def test_a_guessing_model_cannot(accuracy, clean, corrupted):
    capable, verdict = judge(accuracy, clean, corrupted)
    assert not capable and "cannot do this task" in verdict


def test_a_corruption_without_effect_is_said_so():
    capable, verdict = judge(accuracy=1.0, clean=3.0, corrupted=2.9)
    assert not capable and "barely change" in verdict


def test_accuracy_counts_the_pairs_above_zero(tiny_model):
    activations = capture(tiny_model("gpt2"), random_prompts(n=7))
    baseline = measure_baseline(activations)
    above = sum(value > 0 for value in baseline.clean_by_pair.tolist())
    assert baseline.accuracy == pytest.approx(above / 7) and baseline.n == 7
    assert baseline.clean_logit_diff == pytest.approx(baseline.clean_by_pair.mean().item(), abs=1e-5)
    assert not baseline.capable  # random weights
