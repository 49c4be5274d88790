import pytest

from engine.activations import capture
from engine.errors import HeadlightError
from engine.patching.receivers import patched_z
from engine.pipeline import discover
from engine.progress import Watcher
from engine.settings import Settings
from engine.trust.self_check import self_check
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_fast_and_reference_agree_on_known_architectures(tiny_model, kind):
    check = self_check(tiny_model(kind), capture(tiny_model(kind), random_prompts()))
    assert check.paths in (4, 8) and check.largest < 1e-4


def test_a_fast_path_that_is_wrong_stops_the_run(tiny_model, monkeypatch):
    model = tiny_model("llama")
    activations = capture(model, random_prompts())
    def scaled(*args):
        z, first = patched_z(*args)
        return 1.5 * z, first

    monkeypatch.setattr("engine.patching.effects.patched_z", scaled)
    with pytest.raises(HeadlightError, match="disagrees with the hooked reference"):
        self_check(model, activations)


def test_a_model_is_checked_once(toy_model, monkeypatch):
    monkeypatch.setattr("engine.trust.self_check._checked", {})
    settings = Settings(model="toy-induction", task="induction-random", pairs=4, sparsity=0.5)
    first = discover(toy_model, settings, Watcher())
    again = discover(toy_model, settings, Watcher())
    assert "self-check" in [row.stage for row in first.cost]
    assert "self-check" not in [row.stage for row in again.cost] and again.check == first.check
