"""What trials share changes no circuit, and is measured once."""

from dataclasses import replace

import pytest
import torch

from engine.ablation import Ablator
from engine.activations import capture
from engine.cost.ledger import Ledger
from engine.heads import heads_of, mask_of
from engine.metrics import faithfulness, performance
from engine.models.model import Model
from engine.patching.screening import ScreenedPatching
from engine.pipeline import discover
from engine.prepare import prepare, task_prompts
from engine.progress import Watcher
from engine.settings import Mode, Score, Settings
from engine.tuning.bench import STAGE, Bench
from tests.engine.random_prompts import random_prompts
from tests.tiny_hooked import hooked_config, random_model

ALL = Settings(sparsity=0.0, score=Score.MERGED, threshold_scale=0.5, min_effect=0.001)
VARIED = [
    replace(ALL, sparsity=0.3, flap_sparsity=0.8),
    replace(ALL, sparsity=0.5, flap_sparsity=0.5, threshold_scale=1.0),
    replace(ALL, sparsity=0.6, score=Score.CONTRASTIVE_FLAP, threshold_scale=0.0),
    replace(ALL, sparsity=0.4, score=Score.FLAP, min_effect=0.05),
]


@pytest.fixture(scope="module")
def prepared(tiny_deep_model):
    return prepare(tiny_deep_model, ALL, Watcher(), random_prompts(n=4, seed=1))


@pytest.fixture(scope="module", params=["llama", "gpt2", "qwen2"])
def any_prepared(request, prepared, tiny_deep_models):
    """Grouped KV heads, or biases and learned positions; prompts on which circuits are found."""
    if request.param == "llama":
        return prepared
    seed = {"gpt2": 0, "qwen2": 7}[request.param]
    return prepare(tiny_deep_models(request.param), ALL, Watcher(), random_prompts(n=4, seed=seed))


def bench_of(prepared, mode):
    everyone = torch.ones_like(prepared.scores.flap, dtype=torch.bool)
    return Bench(prepared, replace(ALL, mode=mode), everyone, Watcher())


@pytest.mark.parametrize("mode", list(Mode))
def test_a_trial_finds_what_a_run_of_its_settings_finds(any_prepared, mode):
    prepared = any_prepared
    bench = bench_of(prepared, mode)
    sizes = set()
    with bench.ledger.stage(STAGE):
        for settings in VARIED:
            run = discover(prepared.model, replace(settings, mode=mode), Watcher(), prepared)
            assert bench.find_exactly(settings, Watcher()).heads == run.circuit.heads
            assert bench.find_exactly(settings, Watcher()).edges == len(run.circuit.edges)
            sizes.add(len(run.circuit.heads))
            if mode is Mode.EXACT:
                assert bench.find(settings, Watcher()) == bench.find_exactly(settings, Watcher())
    assert len(sizes) > 1 and max(sizes) > 3  # the settings tell something apart


def test_estimates_are_marked_and_exact_ones_are_not(prepared):
    screened, exact = bench_of(prepared, Mode.SCREENED), bench_of(prepared, Mode.EXACT)
    with screened.ledger.stage(STAGE), exact.ledger.stage(STAGE):
        assert screened.find(VARIED[0], Watcher()).estimated
        assert not screened.find_exactly(VARIED[0], Watcher()).estimated
        assert not exact.find(VARIED[0], Watcher()).estimated


def test_a_receiver_is_measured_once_for_all_trials(prepared, monkeypatch):
    asked, estimates = [], ScreenedPatching.estimates
    monkeypatch.setattr(
        ScreenedPatching, "estimates", lambda self, receivers, *more: asked.extend(receivers)
        or estimates(self, receivers, *more),
    )  # fmt: skip
    bench, costs = bench_of(prepared, Mode.SCREENED), []
    for settings in (*VARIED, VARIED[0]):
        before = bench.spent().flops
        with bench.ledger.stage(STAGE):
            bench.find(settings, Watcher())
        costs.append(bench.spent().flops - before)
    assert costs[0] > 0 and costs[-1] == 0
    assert len(asked) == len(set(asked)) > 4


def test_a_circuit_is_measured_on_held_out_prompts(toy_model):
    settings = Settings(model="toy-induction", task="induction-random", pairs=4, seed=5, sparsity=0.5)
    prepared = prepare(toy_model, settings, Watcher())
    bench = Bench(prepared, settings, torch.ones(2, 12, dtype=torch.bool), Watcher())
    with bench.ledger.stage(STAGE):
        found = bench.find(settings, Watcher())
        assert bench.kept(found.heads).faithfulness == found.faithfulness
    held_out = capture(toy_model, task_prompts(toy_model, settings, 7))
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        value = Ablator(toy_model, held_out, ledger).metric(mask_of(found.heads, 2, 12))
    assert found.faithfulness == pytest.approx(faithfulness(value, held_out.clean, held_out.corrupted))
    assert found.performance == pytest.approx(performance(value, held_out.clean))


def test_a_mask_starts_a_search_if_one_of_its_heads_is_important(prepared):
    bench, starts = bench_of(prepared, Mode.SCREENED), set()
    with bench.ledger.stage(STAGE):
        for settings in (*VARIED, ALL, replace(VARIED[0], min_effect=1.0)):
            run = discover(prepared.model, settings, Watcher(), prepared)
            expected = bool(run.steps[0].important)
            assert bench.starts(bench.mask(settings), settings.min_effect) == expected
            starts.add(expected)
    assert starts == {True, False}


def test_a_model_of_hooks_alone_is_tried_exactly(tiny_model):
    model = Model("hooks", random_model(hooked_config("gpt_neo")), tiny_model("gpt2").tokenizer)
    assert not model.fast
    prepared = prepare(model, ALL, Watcher(), random_prompts(n=2))
    bench = bench_of(prepared, Mode.SCREENED)
    settings = replace(VARIED[1], sparsity=0.2, flap_sparsity=None)
    with bench.ledger.stage(STAGE):
        found = bench.find(settings, Watcher())
    run = discover(model, settings, Watcher(), prepared)
    assert not found.estimated and found.heads == run.circuit.heads and heads_of(bench.widest)
