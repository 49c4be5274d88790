"""What the ledger books against what torch's own counter sees in the same code: matmuls, and all of them."""

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from engine.ablation import Ablation, Ablator
from engine.activations import capture
from engine.circuit import Input
from engine.cost.ledger import Ledger, forward_flops, hooked_flops
from engine.heads import Head, mask_of
from engine.nodes import Mlp
from engine.patching.effects import PathPatching
from engine.patching.flops import node_patching_flops
from engine.patching.mlp_nodes import NodePatching, ScreenedNodes
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import reference_effects, reference_passes
from engine.pipeline import discover
from engine.prepare import CALIBRATION, prepare
from engine.progress import Watcher
from engine.pruning.masks import keep_mask
from engine.pruning.sparsity_sweep import BAND_SPARSITIES
from engine.scoring.mlp_scores import score_mlps
from engine.settings import Method, Mode, Settings
from engine.tasks.prompts import Metric
from engine.trust.self_check import self_check
from tests.engine.patching.test_effects import all_heads
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS

AGREE = 1e-6  # share: both count, neither estimates
RECEIVERS = [LOGITS, *(Receiver(letter, Head(1, 1)) for letter in (Input.Q, Input.K, Input.V))]


def counted(work: Callable[[], object]) -> float:
    """FLOPs of the matmuls torch runs in ``work``."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def check(work: Callable[[Ledger], object]) -> None:
    """Run ``work`` once, the ledger booking and torch counting."""
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        seen = counted(lambda: work(ledger))
    assert seen > 0
    assert sum(row.flops for row in ledger.rows()) == pytest.approx(seen, rel=AGREE)


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_a_capture_is_two_forward_passes(tiny_model, kind, metric):
    model, prompts = tiny_model(kind), random_prompts(metric)
    seen = counted(lambda: capture(model, prompts))
    assert 2 * forward_flops(model.parts, prompts) == pytest.approx(seen, rel=AGREE)


@pytest.mark.parametrize("receiver", RECEIVERS, ids=str)
@pytest.mark.parametrize("metric", [Metric.LOGIT_DIFF, Metric.PROB_DIFF])
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_patching_one_receiver(tiny_model, kind, metric, receiver):
    model = tiny_model(kind)
    activations = capture(model, random_prompts(metric, n=6))
    for senders in (all_heads(model), [Head(0, 1)]):
        check(lambda ledger, some=senders: PathPatching(model, activations, some, ledger).effects(receiver))


def test_a_sweep_shared_by_receivers_of_a_deep_model(tiny_deep_model):
    activations = capture(tiny_deep_model, random_prompts())
    senders = [head for head in all_heads(tiny_deep_model) if head.index != 2]

    def work(ledger):
        patching = PathPatching(tiny_deep_model, activations, senders, ledger)
        for letter, layer in ((Input.Q, 5), (Input.K, 5), (Input.V, 3), (Input.Q, 1)):
            patching.effects(Receiver(letter, Head(layer, 3)))

    check(work)


@pytest.mark.parametrize("ablation", Ablation)
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_nested_masks(tiny_model, kind, ablation):
    model = tiny_model(kind)
    activations = capture(model, random_prompts())
    order = torch.rand(model.n_layers, model.n_heads, generator=torch.Generator().manual_seed(0))

    def work(ledger):
        ablator = Ablator(model, activations, ledger, ablation)
        for sparsity in BAND_SPARSITIES:
            ablator.metric(keep_mask(order, sparsity))

    check(work)


def test_masks_of_a_deep_model_that_end_below_its_top(tiny_deep_model):
    activations = capture(tiny_deep_model, random_prompts())
    keep = mask_of([Head(0, 1), Head(3, 2)], 6, 4)
    check(lambda ledger: Ablator(tiny_deep_model, activations, ledger).metric(keep))


@pytest.mark.parametrize("receiver", RECEIVERS, ids=str)
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_hooked_forwards(tiny_model, kind, receiver):
    model = tiny_model(kind)
    activations = capture(model, random_prompts())
    senders = [Head(0, 0), Head(0, 3)]
    seen = counted(lambda: reference_effects(model, activations, receiver, senders))
    expected = reference_passes(receiver, len(senders)) * hooked_flops(model, activations.prompts)
    assert expected == pytest.approx(seen, rel=AGREE)


def test_the_self_check(tiny_model):
    model = tiny_model("qwen2")
    activations = capture(model, random_prompts())
    check(lambda ledger: ledger.add(self_check(model, activations).flops))


def check_run(model, settings):
    """Every stage of a whole run together; calibration apart, because it first warms up."""
    prepared = prepare(model, settings, Watcher())
    found = []
    seen = counted(lambda: found.append(discover(model, settings, Watcher(), prepared)))
    rows = [row for row in found[0].cost if row.stage != CALIBRATION]
    assert sum(row.flops for row in rows) == pytest.approx(seen, rel=AGREE)
    assert all(row.flops > 0 for row in rows)
    mlps = settings.mlps

    def calibration():
        activations = capture(model, prepared.prompts, mlps=mlps)
        if mlps:
            score_mlps(model, activations, unbooked)

    unbooked = Ledger(1.0)
    with unbooked.stage("test"):
        assert prepared.cost[0].flops == pytest.approx(counted(calibration), rel=AGREE)


@pytest.mark.parametrize("method", Method)
def test_a_whole_run(toy_model, method):
    check_run(toy_model, Settings(model="toy-induction", task="induction-random", pairs=4, method=method))


@pytest.mark.parametrize("mode", Mode)
def test_a_whole_run_with_mlps_as_nodes(toy_model, mode):
    settings = Settings(
        model="toy-induction", task="induction-random", pairs=4, method=Method.DENSE, mlps=True, mode=mode
    )
    check_run(toy_model, settings)


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "gemma2"])
def test_patching_nodes(tiny_deep_models, kind):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts(n=6), mlps=True)
    senders = [*all_heads(model), *map(Mlp, range(model.n_layers))]

    def work(ledger):
        patching = NodePatching(model, activations, senders, ledger)
        mlps = (Receiver(Input.MLP, Mlp(layer)) for layer in (5, 2))
        for receiver in (LOGITS, *mlps, Receiver(Input.K, Head(2, 1))):
            patching.effects(receiver)

    check(work)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "gemma2"])
def test_the_formula_for_nodes_is_what_the_ledger_books(tiny_deep_models, kind, mode):
    """Recomputing every path, from the last layer down."""
    model, ledger = tiny_deep_models(kind), Ledger(1.0)
    activations = capture(model, random_prompts(n=6), mlps=True)
    senders = [*all_heads(model), *map(Mlp, range(model.n_layers))]
    visited = [Mlp(5), Head(4, 1), Mlp(2), Head(2, 1)]
    patching = NodePatching(model, activations, senders, ledger)
    measure = (ScreenedNodes(patching) if mode is Mode.SCREENED else patching).measure
    measure([LOGITS], lambda receiver, f: ~f.isnan())
    for node in visited:
        letters = (Input.MLP,) if isinstance(node, Mlp) else (Input.Q, Input.K, Input.V)
        measure([Receiver(letter, node) for letter in letters], lambda receiver, f: ~f.isnan())
    booked = {row.stage: row.flops for row in ledger.rows()}
    expected = node_patching_flops(model, activations.batches, senders, dict.fromkeys(visited, 1.0), mode, 1.0)
    assert booked == pytest.approx(expected, rel=0.02)  # products of changes and gradients are left out


@pytest.mark.slow
def test_a_whole_run_of_the_bundled_model(bundled_model):
    check_run(bundled_model, Settings(pairs=2, sparsity=0.95, min_effect=0.05))
