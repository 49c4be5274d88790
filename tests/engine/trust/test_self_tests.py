"""What must hold holds on every architecture, and a part that is broken is found out."""

from dataclasses import replace

import pytest
import torch

from engine.activations import capture
from engine.errors import Cancelled
from engine.models.loading import load_model
from engine.models.model import Model
from engine.trust import self_tests as tests_of
from engine.trust.self_tests import MEANING, STREAM, SelfTest, self_tests, self_tests_flops
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS
from tests.tiny_hooked import HOOKED_KINDS, save_hooked_model


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_all_of_them_pass_on_known_architectures(tiny_model, kind):
    model = tiny_model(kind)
    activations = capture(model, random_prompts())
    done = self_tests(model, activations)
    assert done.passed and not done.failed and done.skipped == () and done.pairs in (1, 2)
    assert [test.name for test in done.tests] == list(MEANING)
    assert all(0 <= test.value <= test.tolerance == 1e-4 and test.meaning for test in done.tests)
    assert done.flops == pytest.approx(self_tests_flops(model, activations) * done.pairs / 2, rel=0.5)


@pytest.mark.parametrize("kind", HOOKED_KINDS)
def test_a_model_that_has_only_hooks_runs_all_but_one(tmp_path, kind):
    save_hooked_model(kind, tmp_path)
    model = load_model(str(tmp_path))
    done = self_tests(model, capture(model, random_prompts()))
    assert not model.fast and done.passed and done.skipped == (STREAM,)
    assert done.flops == pytest.approx(self_tests_flops(model, capture(model, random_prompts())), rel=0.2)


class Broken:
    """A model whose layer 1 is not what it was when its prompts ran."""

    def __init__(self, model: Model, layer) -> None:
        self._model, layers = model, list(model.parts.layers)
        layers[1] = layer
        self.parts = replace(model.parts, layers=tuple(layers))

    def __getattr__(self, name):
        return getattr(self._model, name)


def failed(model, layer, activations):
    return {test.name for test in self_tests(Broken(model, layer), activations).failed}  # type: ignore[arg-type]


def test_each_broken_part_fails_the_tests_that_see_it(tiny_model):
    model = tiny_model("gpt2")
    activations, layer = capture(model, random_prompts()), model.parts.layers[1]
    mlp = replace(layer.mlp, hidden=lambda x: 1.01 * layer.mlp.hidden(x))
    louder = failed(model, replace(layer, mlp=mlp), activations)
    assert louder >= {"identity patch", "full patch", "nothing ablated", "residual stream"}
    no_bias = failed(model, replace(layer, o=replace(layer.o, bias=None)), activations)
    assert no_bias >= {"nothing ablated", "heads' sum"} and "identity patch" not in no_bias
    sharper = failed(model, replace(layer, scale=2 * layer.scale), activations)
    assert "nothing ablated" in sharper and "heads' sum" not in sharper
    assert failed(model, layer, activations) == set()


def test_rows_that_do_not_sum_to_one_are_seen(tiny_model, monkeypatch):
    model = tiny_model("llama")
    activations = capture(model, random_prompts())
    from engine.models import parts

    softmax = parts.pattern
    monkeypatch.setattr(parts, "pattern", lambda *args: 1.01 * softmax(*args))
    rows = next(test for test in self_tests(model, activations).tests if test.name == "attention rows")
    assert rows.value == pytest.approx(0.01, abs=1e-5) and not rows.passed


def test_a_capture_that_is_not_the_models_own_forward_is_seen(tiny_model):
    model = tiny_model("llama")
    activations = capture(model, random_prompts())
    moved = replace(
        activations,
        batches=tuple(replace(item, clean_metric=item.clean_metric + 1) for item in activations.batches),
    )
    assert "plain forward" in {test.name for test in self_tests(model, moved).failed}


def test_not_a_number_is_no_pass():
    assert not SelfTest("full patch", float("nan"), 1.0).passed
    assert tests_of._largest([0.0, float("nan"), torch.tensor(-3.0)]) != 0.0
    assert tests_of._largest([1.0, torch.tensor(-3.0)]) == 3.0


def test_they_can_be_stopped(tiny_model):
    model = tiny_model("llama")

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        self_tests(model, capture(model, random_prompts()), stop)
