"""A smaller budget lowers the peak and leaves every result alone; one that is too small says which works."""

import re
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine.errors import HeadlightError
from engine.machine.memory import ROWS, in_words, kept_bytes, plan_memory, row_bytes
from engine.pipeline import discover
from engine.progress import Watcher
from engine.settings import Method, Mode, Settings
from tests.engine.random_prompts import random_prompts


class LiveBytes(TorchDispatchMode):
    """Bytes of the storages that torch's operations have made and nothing has freed yet, and their peak."""

    def __init__(self):
        super().__init__()
        self.live, self.peak, self._known = 0, 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, torch.Tensor):
                self._count(value.untyped_storage())
        return result

    def _count(self, storage):
        if storage.data_ptr() in self._known or not storage.nbytes():
            return
        self._known.add(storage.data_ptr())
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._freed, storage.data_ptr(), storage.nbytes())

    def _freed(self, pointer, size):
        self._known.discard(pointer)
        self.live -= size


def smallest_budget(model, pairs):
    """What the error says works."""
    with pytest.raises(HeadlightError) as refused:
        discover(model, settings(pairs, Mode.EXACT, 1.0), Watcher())
    words = re.search(r"smallest that works is ([\d.]+)([KMG])", str(refused.value))
    assert words is not None
    return float(words[1]) * {"K": 1e3, "M": 1e6, "G": 1e9}[words[2]]


def settings(pairs, mode, budget):
    return Settings(
        model="toy-induction", task="induction-random", pairs=pairs, method=Method.DENSE, mode=mode,
        memory_budget=budget, threshold_scale=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("mode", Mode)
def test_a_smaller_budget_lowers_the_peak_and_changes_nothing(toy_model, mode):
    discover(toy_model, settings(24, mode, None), Watcher())  # the self-check and what is made once are done
    found, peaks = [], []
    smallest = smallest_budget(toy_model, 24)
    for budget in (10 * smallest, smallest):
        with LiveBytes() as memory:
            found.append(discover(toy_model, settings(24, mode, budget), Watcher()))
        peaks.append(memory.peak)
        assert memory.peak <= budget
    assert peaks[1] < 0.7 * peaks[0]
    ample, tight = found
    assert tight.circuit.heads == ample.circuit.heads and ample.circuit.edges
    for one, other in zip(ample.steps, tight.steps, strict=True):
        torch.testing.assert_close(one.effects, other.effects, atol=1e-5, rtol=0, equal_nan=True)
    torch.testing.assert_close(ample.scores.flap, tight.scores.flap, atol=1e-5, rtol=1e-4)
    assert tight.verification.performance == pytest.approx(ample.verification.performance, abs=1e-3)


def test_the_smallest_budget_named_works_and_less_does_not(toy_model):
    smallest = smallest_budget(toy_model, 8)
    discover(toy_model, settings(8, Mode.SCREENED, smallest), Watcher())
    with pytest.raises(HeadlightError, match="too small for 8 pairs"):
        discover(toy_model, settings(8, Mode.SCREENED, smallest * 0.9), Watcher())


def test_what_is_not_kept_or_worked_on_keeps_streams(tiny_model):
    model, prompts = tiny_model("llama"), random_prompts()
    plan = plan_memory(model, prompts, 1e9)
    longest = max(len(pair.clean_tokens) for pair in prompts.pairs)
    kept = kept_bytes(model, sum(len(pair.clean_tokens) for pair in prompts.pairs))
    assert plan.rows == ROWS
    assert plan.streams <= 1e9 - kept - ROWS * row_bytes(model, longest)
    tight = plan_memory(model, prompts, kept + 30 * row_bytes(model, longest) * 10)
    assert longest <= tight.rows < ROWS and 0 <= tight.streams < plan.streams


def test_sizes_in_words():
    assert in_words(1.23e9) == "1.2G" and in_words(5e5) == "500.0K" and in_words(12) == "12"
    assert in_words(1.21e9, up=True) == "1.3G"
