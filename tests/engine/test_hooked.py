"""Models that have only hooks: the same numbers as the fast path where both can run, and a whole run where not."""

import threading
import time
from dataclasses import replace

import pytest
import torch

from engine import hooked as hooked_runs
from engine.ablation import Ablation, Ablator
from engine.activations import capture
from engine.behaviour.head_card import attention_pattern, head_writes
from engine.circuit import Input
from engine.cost.estimate import dense_flops, estimate_run
from engine.cost.ledger import Ledger, hooked_flops, pass_flops
from engine.errors import HeadlightError
from engine.heads import Head
from engine.models.loading import load_model
from engine.models.model import Model
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import ReferencePatching
from engine.pipeline import discover
from engine.prepare import prepare, score_heads
from engine.progress import Watcher
from engine.record.json_values import dumps
from engine.record.writing import discovery_json
from engine.search.path_patching import search_cost
from engine.settings import Method, Mode, Settings
from engine.tasks.prompts import Metric
from tests.engine.cost.test_ledger import check_run
from tests.engine.patching.test_effects import all_heads, fast_effects
from tests.engine.random_prompts import random_prompts
from tests.tiny_hooked import HOOKED_KINDS, save_hooked_model

CLOSE = {"atol": 1e-4, "rtol": 1e-4, "check_dtype": False, "equal_nan": True}
BOTH = ("gpt2", "llama")
SETTINGS = Settings(
    model="tiny", task="random", method=Method.DENSE, mode=Mode.EXACT, threshold_scale=0, min_effect=0.001
)


@pytest.fixture(autouse=True)
def many_receivers(monkeypatch):
    """Eight heads at random hold nothing that stands out: let more of them into the circuit."""
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", -0.7)


@pytest.fixture(scope="module")
def forced(tiny_model_folder):
    """``forced(kind)``: a model whose parts are known, run through its hooks all the same."""
    models = {}

    def of(kind):
        if kind not in models:
            loaded = load_model(str(tiny_model_folder(kind)))
            models[kind] = Model(kind, loaded.hf_model, loaded.tokenizer, hooked=True)
        return models[kind]

    return of


@pytest.fixture(scope="module")
def hooked(tmp_path_factory):
    """``hooked(kind)``: a model of an architecture whose parts are not known, loaded from its folder."""
    models = {}

    def of(kind):
        if kind not in models:
            folder = tmp_path_factory.mktemp(kind)
            save_hooked_model(kind, folder)
            models[kind] = load_model(str(folder))
        return models[kind]

    return of


def run(model, prompts, settings=SETTINGS):
    prepared = prepare(model, settings, Watcher(), prompts)
    return prepared, discover(model, settings, Watcher(), prepared)


@pytest.mark.parametrize("kind", BOTH)
def test_shape_and_output_projections_are_read_off_the_bridge(tiny_model, forced, kind):
    fast, slow = tiny_model(kind), forced(kind)
    assert fast.fast and not slow.fast and slow.note.startswith(f"{kind}: ") and not fast.note
    assert slow.shape == fast.shape and (slow.dtype, slow.device) == (fast.dtype, fast.device)
    for layer in range(fast.n_layers):
        torch.testing.assert_close(slow.output_weight(layer), fast.output_weight(layer))


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("kind", BOTH)
def test_capture_and_scores_equal_the_fast_ones(tiny_model, forced, kind, metric):
    fast, slow = (capture(model, random_prompts(metric)) for model in (tiny_model(kind), forced(kind)))
    for name in ("clean_metric", "corrupted_metric"):
        torch.testing.assert_close(slow.by_pair(name), fast.by_pair(name), **CLOSE)
    for one, other in zip(slow.batches, fast.batches, strict=True):
        torch.testing.assert_close(one.clean_z, other.clean_z, **CLOSE)
        torch.testing.assert_close(one.corrupted_z, other.corrupted_z, **CLOSE)
    ours, theirs = score_heads(forced(kind), slow), score_heads(tiny_model(kind), fast)
    torch.testing.assert_close(ours.flap, theirs.flap, **CLOSE)
    torch.testing.assert_close(ours.contrastive_flap, theirs.contrastive_flap, **CLOSE)


@pytest.mark.parametrize("ablation", Ablation)
@pytest.mark.parametrize("kind", BOTH)
def test_ablated_metrics_equal_the_fast_ones(tiny_model, forced, kind, ablation):
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        fast, slow = (
            Ablator(model, capture(model, random_prompts(n=6)), ledger, ablation)
            for model in (tiny_model(kind), forced(kind))
        )
        for density in (0.0, 0.3, 0.7, 1.0):
            keep = torch.rand(2, 4, generator=torch.Generator().manual_seed(1)) < density
            torch.testing.assert_close(slow.by_pair(keep), fast.by_pair(keep), **CLOSE)


@pytest.mark.parametrize(
    "receiver", [LOGITS, *(Receiver(letter, Head(1, 3)) for letter in (Input.Q, Input.K, Input.V))], ids=str
)
@pytest.mark.parametrize("kind", BOTH)
def test_effects_equal_the_fast_ones(tiny_model, forced, kind, receiver):
    senders = [head for head in all_heads(tiny_model(kind)) if head.index != 2]
    fast = fast_effects(tiny_model(kind), capture(tiny_model(kind), random_prompts()), receiver, senders)
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        patching = ReferencePatching(forced(kind), capture(forced(kind), random_prompts()), senders, ledger)
        torch.testing.assert_close(patching.effects(receiver), fast, **CLOSE)


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("kind", BOTH)
def test_the_whole_run_finds_what_the_fast_one_finds(tiny_model, forced, kind, method):
    settings = replace(SETTINGS, method=method)
    _, fast = run(tiny_model(kind), random_prompts(), settings)
    _, slow = run(forced(kind), random_prompts(), settings)
    assert slow.circuit.heads == fast.circuit.heads and len(fast.circuit.heads) > 1
    assert torch.equal(slow.keep, fast.keep)
    named = [[(e.sender, e.receiver, e.input, e.shared) for e in found.circuit.edges] for found in (slow, fast)]
    assert named[0] == named[1] and any(edge[1] is not None for edge in named[0])
    for ours, theirs in zip(slow.circuit.edges, fast.circuit.edges, strict=True):
        assert ours.effect == pytest.approx(theirs.effect, abs=1e-4)
    assert slow.verification is not None and fast.verification is not None
    assert slow.verification.performance == pytest.approx(fast.verification.performance, abs=0.01)


@pytest.mark.parametrize("kind", HOOKED_KINDS)
def test_a_whole_run_of_an_architecture_without_known_parts(hooked, kind):
    model = hooked(kind)
    assert (model.n_layers, model.n_heads, model.n_kv_heads, model.d_model, model.d_head) == (2, 4, 4, 32, 8)
    prepared, found = run(model, random_prompts())
    assert found.complete and found.check is None and found.circuit.heads
    record = discovery_json(model, found)
    assert record["path_patching"] == "reference" and record["self_check"] is None and dumps(record)
    stages = ["calibration", "self-tests", "logits stage", "pass 2", "verification"]
    assert [row.stage for row in found.cost] == stages and record["self_tests"]["passed"]
    everything = torch.ones(2, 4, dtype=torch.bool)
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        whole = Ablator(model, prepared.activations, ledger).by_pair(everything)
    torch.testing.assert_close(whole, prepared.activations.by_pair("clean_metric"), **CLOSE)


@pytest.mark.parametrize("kind", HOOKED_KINDS)
def test_its_capture_is_what_transformers_computes(hooked, kind, tmp_path):
    from transformers import AutoModelForCausalLM

    save_hooked_model(kind, tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    activations = capture(hooked(kind), random_prompts())
    for item in activations.batches:
        for tokens, metric in (
            (item.batch.clean, item.clean_metric), (item.batch.corrupted, item.corrupted_metric)
        ):  # fmt: skip
            with torch.no_grad():
                expected = item.readout.of_vocabulary(plain(tokens).logits[:, -1])
            torch.testing.assert_close(metric, expected, **CLOSE)


@pytest.mark.parametrize("kind", BOTH)
def test_a_counted_pass_is_the_formula(tiny_model, forced, kind):
    assert hooked_flops(forced(kind), random_prompts()) == hooked_flops(tiny_model(kind), random_prompts())


def test_its_ledger_is_what_torch_counts(forced):
    """On a task of our own, whose verification runs on fresh prompts."""
    toy = load_model("toy-induction")
    settings = Settings(model="toy-induction", task="induction-random", pairs=2, sparsity=0.8)
    check_run(Model("toy", toy.hf_model, toy.tokenizer, hooked=True), settings)


def test_the_estimate_is_that_of_the_reference(hooked):
    prepared, found = run(hooked("bloom"), random_prompts())
    estimate = estimate_run(prepared, found.keep, SETTINGS)
    passes = search_cost(found.cost).forward_passes
    receivers = [head for head in found.circuit.heads if head.layer > 0]
    one_pass = pass_flops(prepared.model, prepared.prompts)
    assert receivers and passes == pytest.approx(dense_flops(prepared, receivers, Mode.EXACT, 1.0) / one_pass)
    assert passes == pytest.approx((2 + 8) + 3 * (2 + 2 * 4) * len(receivers))
    assert estimate.search.forward_passes == pytest.approx(estimate.reference_passes, abs=1)
    assert estimate.search.forward_passes < estimate.most.forward_passes >= passes


def test_what_needs_parts_says_so_and_attention_is_shown(hooked, forced, tiny_model):
    prepared = prepare(hooked("bloom"), SETTINGS, Watcher(), random_prompts())
    with pytest.raises(HeadlightError, match=r"not available for .*bloom model are not known"):
        head_writes(prepared, Head(1, 1))
    tokens = random_prompts().pairs[0].clean_tokens
    for kind in HOOKED_KINDS:
        pattern = attention_pattern(hooked(kind), tokens, Head(1, 2))
        torch.testing.assert_close(pattern.sum(dim=1), torch.ones(len(tokens)))
        assert pattern.triu(1).abs().max() == 0
    for kind in BOTH:
        ours, theirs = (attention_pattern(model(kind), tokens, Head(1, 3)) for model in (forced, tiny_model))
        torch.testing.assert_close(ours, theirs, **CLOSE)


def test_threads_do_not_see_each_others_hooks(hooked, monkeypatch):
    def dawdling(keep, stand_in, keeping=hooked_runs.keeping):
        inner = keeping(keep, stand_in)

        def slow(value, hook):
            time.sleep(0.005)  # the other thread gets its chance in mid-forward
            return inner(value, hook)

        return slow

    monkeypatch.setattr(hooked_runs, "keeping", dawdling)
    model = hooked("gpt_neo")
    prompts = random_prompts(seed=3)
    alone = capture(model, prompts).by_pair("clean_metric")
    stop = threading.Event()

    def ablate() -> None:
        ledger = Ledger(1.0)
        with ledger.stage("test"):
            ablator = Ablator(model, capture(model, prompts), ledger, Ablation.ZERO)
            while not stop.is_set():
                ablator.metric(torch.zeros(2, 4, dtype=torch.bool))

    thread = threading.Thread(target=ablate)
    thread.start()
    try:
        for _ in range(20):
            assert torch.allclose(capture(model, prompts).by_pair("clean_metric"), alone, atol=1e-4)
    finally:
        stop.set()
        thread.join()
