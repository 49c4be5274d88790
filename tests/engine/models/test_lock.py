"""A hooked model is shared mutable state: two threads must not see each other's hooks."""

import threading

import pytest
import torch

from engine.activations import capture
from engine.circuit import Input
from engine.heads import Head
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_effects
from tests.engine.patching.test_effects import all_heads, fast_effects
from tests.engine.random_prompts import random_prompts


def test_two_threads_patching_one_model_get_what_each_gets_alone(tiny_model):
    model = tiny_model("llama")
    work = [(random_prompts(seed=1), LOGITS), (random_prompts(seed=2), Receiver(Input.Q, Head(1, 3)))]
    alone = [reference_effects(model, capture(model, p), r, all_heads(model)) for p, r in work]
    wrong: list[str] = []

    def run(index: int) -> None:
        prompts, receiver = work[index]
        for _ in range(4):
            activations = capture(model, prompts)  # hook-free: must not see the other thread's hooks either
            slow = reference_effects(model, activations, receiver, all_heads(model))
            fast = fast_effects(model, activations, receiver)
            for name, effects in (("reference", slow), ("fast", fast)):
                if not torch.allclose(effects, alone[index], atol=1e-4, rtol=0, equal_nan=True):
                    wrong.append(f"{name} in thread {index}")

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_lock_keeps_a_second_thread_out_while_hooks_are_on(tiny_model):
    model = tiny_model("gpt2")
    tokens = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        plain = model.bridge(tokens)
    hooked, done = threading.Event(), threading.Event()
    seen: list[torch.Tensor] = []

    def other() -> None:
        hooked.wait(10)
        with model.lock, torch.no_grad():
            seen.append(model.bridge(tokens))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with model.lock, model.bridge.hooks(fwd_hooks=[("blocks.0.attn.hook_z", lambda value, hook: value * 0)]):
        hooked.set()
        assert not done.wait(0.2)  # it waits for the lock
        with torch.no_grad():
            assert not torch.allclose(model.bridge(tokens), plain)
    thread.join(10)
    torch.testing.assert_close(seen[0], plain)


def test_hooks_are_gone_after_a_failure(tiny_model):
    model = tiny_model("qwen2")
    activations = capture(model, random_prompts())

    def fail(share: float) -> None:
        raise RuntimeError("stop")

    with torch.no_grad():
        before = model.bridge(torch.tensor([[3, 4, 5]]))
    with pytest.raises(RuntimeError, match="stop"):
        reference_effects(model, activations, LOGITS, all_heads(model), fail)
    with torch.no_grad():
        torch.testing.assert_close(model.bridge(torch.tensor([[3, 4, 5]])), before)


def test_what_was_counted_once_is_told_while_another_thread_holds_the_hooks(tiny_model):
    model = tiny_model("llama")
    known, told = model.counted_flops(5), []
    with model.lock:
        asking = threading.Thread(target=lambda: told.append(model.counted_flops(5)), daemon=True)
        asking.start()
        asking.join(30)
    assert told == [known]
