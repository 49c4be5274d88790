"""The bundled model end to end: exactness on samples, the five tasks, a search."""


import pytest
import torch

from engine.activations import capture
from engine.circuit import Input
from engine.heads import Head
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_effects
from engine.pipeline import discover
from engine.prepare import prepare, task_prompts
from engine.progress import Watcher
from engine.settings import Settings
from engine.tasks.task import TASKS
from tests.engine.patching.test_effects import fast_effects

pytestmark = pytest.mark.slow
NAME_MOVER = Head(23, 3)  # by far the strongest on IOI (METHOD section 5)


@pytest.mark.parametrize(
    "receiver", [LOGITS, *(Receiver(letter, NAME_MOVER) for letter in (Input.Q, Input.K, Input.V))], ids=str
)
def test_fast_equals_reference_on_samples(bundled_model, receiver):
    activations = capture(bundled_model, task_prompts(bundled_model, Settings(pairs=2), seed=3))
    senders = [Head(22, 0), Head(17, 4), Head(4, 1)]
    torch.testing.assert_close(
        fast_effects(bundled_model, activations, receiver, senders),
        reference_effects(bundled_model, activations, receiver, senders),
        atol=1e-4, rtol=0, equal_nan=True,
    )


@pytest.mark.parametrize("task", [task.name for task in TASKS])
def test_the_bundled_model_does_every_task(bundled_model, task):
    prepared = prepare(bundled_model, Settings(task=task, pairs=16), Watcher())
    assert prepared.baseline.capable, prepared.baseline.verdict
    assert prepared.baseline.clean_logit_diff > prepared.baseline.corrupted_logit_diff
    assert prepared.scores.contrastive_flap.isfinite().all() and prepared.scores.flap.isfinite().all()


def test_contrastive_flap_ranks_the_name_mover_high_and_the_search_finds_it(bundled_model):
    settings = Settings(pairs=8, sparsity=0.93)
    prepared = prepare(bundled_model, settings, Watcher())
    scores = prepared.scores.contrastive_flap
    assert (scores > scores[NAME_MOVER.layer, NAME_MOVER.index]).sum() < 3
    found = discover(bundled_model, settings, Watcher(), prepared)
    logits_step = found.steps[0].effects.nan_to_num()
    assert NAME_MOVER in found.circuit.heads
    assert logits_step[NAME_MOVER.layer, NAME_MOVER.index] == logits_step.min() < -0.3
    assert found.complete and found.verification is not None and found.verification.performance > 50
    assert len(found.circuit.heads) <= int(found.keep.sum())
